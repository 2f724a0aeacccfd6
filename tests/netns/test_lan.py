"""`lan:`: a LAN behind the CLATs is served by clatvisor's own rules, which are kept, repaired, and gone at the end."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable

from harness.case import LabTest, every_interface
from harness.clatvisor import SLOW, run_to_exit
from harness.lab import WAN0, wait_until
from harness.traffic import ECHO, Bulk, Client

SERVED = {"masquerade": True, "clamp-mss": True, "forwarding": True}


class LanTest(LabTest):
    lan = True

    def setUp(self) -> None:
        super().setUp()
        # The lab serves its LAN by itself; here that is clatvisor's to do.
        self.lab.router.run("nft", "delete", "table", "ip", "lab_nat")
        self.lab.router.sysctl("net/ipv4/ip_forward", 0)
        self.client = Client(self.lab.lan)

    def serve(self, lan: dict | None = None, change: Callable[[dict], None] | None = None) -> None:
        def with_lan(config: dict) -> None:
            config["lan"] = SERVED if lan is None else lan
            if change:
                change(config)

        self.start(change=with_lan)

    def tables(self) -> list[str]:
        text = self.lab.router.run("nft", "list", "tables")
        return sorted(re.findall(r"table inet (clatvisor_lan_\d+)", text))

    def forwards(self) -> bool:
        return self.lab.router.run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1"

    def largest_segment(self) -> int:
        """Of a TCP connection from the LAN, bytes, as its two ends agreed."""
        with self.client.socket(socket.SOCK_STREAM, 10) as sock:
            sock.connect((self.lab.server_v4, ECHO))
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


class Served(LanTest):
    def test_a_life(self) -> None:
        before = self.snapshot()
        self.assertEqual(self.client.ping(self.lab.server_v4, count=1, wait=1), 0)
        self.serve()
        self.assertEqual(len(self.tables()), 2)
        self.assertEqual(self.client.ping(self.lab.server_v4), 3)
        self.client.tcp_echo(self.lab.server_v4)
        self.client.udp_echo(self.lab.server_v4)
        mtu = self.lab.router.ip_json("link", "show", "v4-wan0")[0]["mtu"]
        self.assertLessEqual(self.largest_segment(), mtu - 40)
        self.assertGreater(self.largest_segment(), mtu - 40 - 20)
        self.program.stop()
        self.assertEqual(self.tables(), [])
        self.assertFalse(self.forwards())
        self.assert_unchanged(before, "after a stop")

    def test_on_the_routed_leg(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.serve(change=every_interface(fast_path="off"))
        self.assertEqual(self.client.ping(self.lab.server_v4), 3)
        self.client.tcp_echo(self.lab.server_v4)
        self.program.stop()
        self.assertEqual(self.tables(), [])

    def test_without_clamping_segments_are_as_large_as_the_lan_has_them(self) -> None:
        self.serve({"masquerade": True, "forwarding": True})
        mtu = self.lab.router.ip_json("link", "show", "v4-wan0")[0]["mtu"]
        self.assertGreater(self.largest_segment(), mtu - 40)
        self.program.stop()

    def test_reload_touches_nothing_else(self) -> None:
        self.serve({"masquerade": True, "clamp-mss": True})
        self.assertFalse(self.forwards())
        config = self.program.default_config()
        pids = [self.program.wait_clatd(uplink.name) for uplink in self.lab.uplinks]
        self.program.reload({**config, "lan": {"forwarding": True}})
        wait_until(lambda: self.forwards() and not self.tables(), 5 * SLOW, "forwards, and nothing else")
        self.program.reload({**config, "lan": SERVED})
        wait_until(lambda: len(self.tables()) == 2, 5 * SLOW, "served again")
        self.client.tcp_echo(self.lab.server_v4)
        self.program.reload(config)
        wait_until(lambda: not self.tables() and not self.forwards(), 5 * SLOW, "not served any more")
        self.assertEqual([self.program.wait_clatd(uplink.name) for uplink in self.lab.uplinks], pids)
        self.assertEqual(self.program.find("clat.down"), [])
        self.program.stop()

    def test_the_operators_forwarding_stays(self) -> None:
        self.lab.router.sysctl("net/ipv4/ip_forward", 1)
        self.serve()
        self.program.stop()
        self.assertTrue(self.forwards())


class Repaired(LanTest):
    def test_after_a_flush_of_everything(self) -> None:
        self.serve()
        for _ in range(5):
            self.lab.router.run("nft", "flush", "ruleset")
            wait_until(lambda: len(self.tables()) == 2, 2 * SLOW, "the rules are back")
        wait_until(lambda: self.client.ping(self.lab.server_v4, count=1, wait=1), 5 * SLOW, "the LAN is served")
        self.assertEqual(self.program.find("part.lost", "wan0")[0]["part"], "lan")
        self.assertEqual(self.program.find("clat.down"), [])
        self.program.stop()

    def test_after_a_change(self) -> None:
        self.serve(change=lambda config: config.update({"audit-interval": "200ms"}))
        self.lab.router.run("nft", "flush", "chain", "inet", self.tables()[0], "srcnat")
        wait_until(
            lambda: all("masquerade" in self.lab.router.run("nft", "list", "table", "inet", table) for table in self.tables()),
            2 * SLOW, "the rule is back",
        )  # fmt: skip
        self.lab.router.sysctl("net/ipv4/ip_forward", 0)
        wait_until(self.forwards, 5 * SLOW, "it forwards again")
        self.program.stop()

    def test_without_nft_it_says_so_and_the_router_has_ipv4(self) -> None:
        empty = self.lab.scratch / "empty"
        empty.mkdir()

        def change(config: dict) -> None:
            config["lan"] = SERVED

        self.start(change=change, wrap=("env", f"PATH={empty}"))
        self.assertIn("nft", self.program.wait_event("clat.failed", "wan0", part="lan")["reason"])
        self.lab.client(WAN0).tcp_echo(self.lab.server_v4)
        self.program.stop()


class Killed(LanTest):
    def test_a_download_of_the_lan_goes_on(self) -> None:
        self.serve()
        download = Bulk(self.client, self.lab.server_v4)
        download.wait_bytes(5_000_000)
        os.kill(self.program.pid, 9)
        self.program.wait_exit()
        self.assertEqual(len(self.tables()), 2)
        download.wait_bytes(5_000_000)
        since = self.program.mark()
        self.program.start()
        self.program.wait_up(since=since)
        download.wait_bytes(5_000_000)
        self.assertLess(download.finish(), 1 * SLOW)
        self.assertEqual(len(self.program.find("supervisor.adopted", since=since)), 2)
        self.client.udp_echo(self.lab.server_v4)  # more than one try: the NAT64's queue may still be full of the download
        self.program.stop()
        self.assertEqual(self.tables(), [])
        self.assertFalse(self.forwards())

    def test_what_is_not_wished_any_more_goes(self) -> None:
        self.serve()
        os.kill(self.program.pid, 9)
        self.program.wait_exit()
        self.program.write_config(self.program.default_config())
        since = self.program.mark()
        self.program.start()
        self.program.wait_up(since=since)
        self.assertEqual(self.tables(), [])
        self.assertFalse(self.forwards())
        self.program.stop()

    def test_cleanup_takes_all_away(self) -> None:
        before = self.snapshot()
        self.serve()
        os.kill(self.program.pid, 9)
        self.program.wait_exit()
        done = run_to_exit(self.lab, "--config", str(self.program.config_file), "--cleanup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.tables(), [])
        self.assertFalse(self.forwards())
        self.assert_unchanged(before, "after --cleanup")
