"""Uplinks that come, go and change at any time, without a restart."""

from __future__ import annotations

import os
import random
import signal

from harness import leaks
from harness.case import LabTest, rounds
from harness.clatvisor import SLOW
from harness.lab import WAN0, WWAN0, wait_until


class Changes(LabTest):
    def setUp(self) -> None:
        super().setUp()
        self.other = self.lab.client(WWAN0)

    def away_and_back(self, away, back) -> None:
        """IPv4 goes and comes back on wan0; wwan0 keeps its child and its traffic."""
        program = self.start()
        other_child = program.wait_clatd("wwan0")
        clatvisor = program.pid
        for _ in range(2):
            since = program.mark()
            away()
            program.wait_event("clat.down", "wan0", since=since)
            self.other.udp_echo(self.lab.server_v4)
            since = program.mark()
            back()
            program.wait_event("clat.up", "wan0", since=since)
            client = self.lab.client(WAN0)
            client.udp_echo(self.lab.server_v4)
            client.tcp_echo(self.lab.server_v4, size=20_000)
            self.assertEqual(client.ping(self.lab.server_v4), 3)
        self.assertEqual((program.pid, program.wait_clatd("wwan0")), (clatvisor, other_child))
        self.assertEqual(program.find("clat.down", "wwan0"), [])
        program.stop()

    def test_link_deleted_and_created_again(self) -> None:
        self.away_and_back(lambda: self.lab.delete_link(WAN0), lambda: self.lab.make_link(WAN0))

    def test_carrier_lost_and_back(self) -> None:
        self.away_and_back(lambda: self.lab.carrier(WAN0, False), lambda: self.lab.carrier(WAN0, True))

    def test_address_removed_and_added(self) -> None:
        self.away_and_back(lambda: self.lab.remove_address(WAN0), lambda: self.lab.add_address(WAN0))

    def test_link_set_down_and_up(self) -> None:
        def up() -> None:
            self.lab.router.ip("link set wan0 up")
            self.lab.add_address(WAN0)

        self.away_and_back(lambda: self.lab.router.ip("link set wan0 down"), up)

    def test_address_added_late(self) -> None:
        self.lab.remove_address(WAN0)
        program = self.start(up=False)
        program.wait_up("wwan0")
        program.wait_event("clat.waiting", "wan0")
        self.assertEqual(program.find("clat.up", "wan0"), [])
        self.lab.add_address(WAN0)
        program.wait_up("wan0")
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()

    def test_link_created_late(self) -> None:
        self.lab.delete_link(WAN0)
        program = self.start(up=False)
        program.wait_up("wwan0")
        self.lab.make_link(WAN0)
        program.wait_up("wan0")
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()

    def test_link_created_again_unseen_with_the_same_index(self) -> None:
        """clatvisor finds the new link where it left the old one, and nothing of its own on it."""
        index = self.lab.router.ip_json("link", "show", "wan0")[0]["ifindex"]
        program = self.start(change=lambda config: config.update({"audit-interval": "1h"}))
        for _ in range(2):
            since = program.mark()
            program.send_signal(signal.SIGSTOP)
            self.lab.delete_link(WAN0)
            self.lab.make_link(WAN0, index=index)
            program.send_signal(signal.SIGCONT)
            program.wait_event("clat.up", "wan0", since=since)
            self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()

    def test_mtu_follows_the_uplink(self) -> None:
        program = self.start()

        def tun_mtu() -> int:
            return self.lab.router.ip_json("link", "show", "v4-wan0")[0]["mtu"]

        self.assertEqual(tun_mtu(), 1500 - 28)
        child = program.wait_clatd("wan0")
        for mtu in (1400, 1500):
            self.lab.router.ip(f"link set wan0 mtu {mtu}")
            self.lab.plat.ip(f"link set {WAN0.far} mtu {mtu}")
            wait_until(lambda mtu=mtu: tun_mtu() == mtu - 28, 5, f"the tun follows to {mtu}")
            self.lab.client(WAN0).tcp_echo(self.lab.server_v4)
        self.assertEqual(program.wait_clatd("wan0"), child)
        program.stop()


class ForeignTun(LabTest):
    def test_is_left_alone_until_it_goes(self) -> None:
        self.lab.router.ip("tuntap add dev v4-wan0 mode tun", "address add 203.0.113.9/32 dev v4-wan0")
        before = self.lab.router.run("ip", "address", "show", "v4-wan0")
        program = self.start(up=False)
        failed = program.wait_event("clat.failed", "wan0")
        self.assertEqual(failed["errno"], "EBUSY", failed.line)
        self.assertIn("v4-wan0", failed["reason"])
        program.wait_up("wwan0")
        self.lab.client(WWAN0).udp_echo(self.lab.server_v4)
        self.assertEqual(self.lab.router.run("ip", "address", "show", "v4-wan0"), before)
        self.assertEqual(program.find("clat.up", "wan0"), [])
        self.lab.router.ip("link del v4-wan0")
        program.wait_up("wan0")
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()

    def test_survives_a_stop(self) -> None:
        self.lab.router.ip("tuntap add dev v4-wan0 mode tun")
        before = self.snapshot()
        program = self.start(up=False)
        program.wait_event("clat.failed", "wan0")
        program.wait_up("wwan0")
        program.stop()
        self.assert_unchanged(before, "after a stop")


class Churn(LabTest):
    """Hundreds of changes, and everything counted."""

    nat64 = False

    def test_leaks_nothing(self) -> None:
        before = self.snapshot()
        program = self.start()
        clatvisor = program.pid
        first = leaks.count(program)
        kinds = {
            "link": (lambda: self.lab.delete_link(WAN0), lambda: self.lab.make_link(WAN0)),
            "carrier": (lambda: self.lab.carrier(WAN0, False), lambda: self.lab.carrier(WAN0, True)),
            "address": (lambda: self.lab.remove_address(WAN0), lambda: self.lab.add_address(WAN0)),
            "late address": (
                lambda: self.lab.delete_link(WAN0),
                lambda: (self.lab.make_link(WAN0, address=False), self.lab.add_address(WAN0)),
            ),
        }
        seed = int.from_bytes(os.urandom(4))
        print(f"seed {seed}")
        order = random.Random(seed)
        for number in range(rounds(200, "links, carriers and addresses that go and come back")):
            kind = order.choice(list(kinds))
            away, back = kinds[kind]
            with self.subTest(round=number, kind=kind):
                since = program.mark()
                away()
                wait_until(lambda since=since: self.went_down(since), 10 * SLOW, f"{kind}: clat.down; {program.tail()}")
                since = program.mark()
                back()
                program.wait_event("clat.up", "wan0", since=since)
                self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        leaks.assert_none(first, program)
        self.assertEqual(program.pid, clatvisor)
        program.stop()
        self.assert_after_churn(before)

    def went_down(self, since: int) -> bool:
        """For want of the uplink. A route that comes after the address replaces the CLAT once more: that one is meant by no
        round, and may be read after a round's begin."""
        downs = self.program.find("clat.down", "wan0", since)
        return any(down["reason"] != "its settings changed" for down in downs)

    def assert_after_churn(self, before: dict[str, object]) -> None:
        """wan0 has another ifindex by now, and the lab's routes may stand in another order: names and counts."""
        after = self.snapshot()
        for key in ("rules", "proxy", "anycast", "bpffs", "processes", "filters", "tcx"):
            self.assertEqual(before[key], after[key], key)
        self.assertEqual(sorted(before["links"]), sorted(after["links"]))
        for key in ("routes4", "routes6"):
            self.assertEqual(before[key], after[key], key)

    def test_changes_faster_than_it_can_follow(self) -> None:
        """Nothing is waited for in between; only where it ends counts."""
        program = self.start()
        for _ in range(rounds(30, "changes in a burst")):
            self.lab.delete_link(WAN0)
            self.lab.make_link(WAN0)
            self.lab.carrier(WAN0, False)
            self.lab.carrier(WAN0, True)
        client = self.lab.client(WAN0)
        wait_until(lambda: self.lab.router.link_index("v4-wan0") and client.udp_works(self.lab.direct_v4), 20, "IPv4 is back")
        program.stop()


class ForbiddenRoute(LabTest):
    """A rule that forbids the way to the NAT64 is the operator's word: it is said, and waited for."""

    uplinks = (WAN0,)

    def check(self, rule: str, answer: str) -> None:
        self.lab.router.run("ip", "-6", "rule", "add", "to", WAN0.prefix, rule)
        program = self.start(up=False)
        waiting = program.wait_event("clat.waiting", "wan0")
        self.assertTrue(waiting["reason"].endswith(answer), waiting.line)
        self.assertEqual(program.find("clat.up"), [])
        self.lab.router.run("ip", "-6", "rule", "del", "to", WAN0.prefix, rule)
        program.wait_event("clat.up", "wan0")
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()

    def test_prohibit(self) -> None:
        self.check("prohibit", "Permission denied")

    def test_blackhole(self) -> None:
        self.check("blackhole", "Invalid argument")


class OwnAddress(LabTest):
    """What the host has is the host's: a CLAT that is told to take it fails, and the host goes on."""

    uplinks = (WAN0,)
    lan = True

    def fixed(self, address: str):
        return lambda config: config["interfaces"]["wan0"].update({"ipv6-address": address})

    def expect_failed(self, address: str, since: int = 0) -> None:
        failed = self.program.wait_event("clat.failed", "wan0", since=since)
        self.assertEqual(failed["reason_code"], "address-in-use", failed.line)
        self.assertIn(address, failed["reason"])
        self.lab.plat.run("ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "2", address)

    def test_of_the_uplink_itself(self) -> None:
        self.start(up=False, change=self.fixed(WAN0.router))
        self.expect_failed(WAN0.router)
        self.assertEqual(self.program.find("clat.up"), [])
        self.program.stop()

    def test_of_another_port(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        address = "2001:db8:77::1"
        self.lab.router.ip(f"address add {address}/64 dev lan0 nodad")
        self.lab.plat.ip(f"route add {address} via {WAN0.router}")
        self.start(up=False, change=self.fixed(address))
        self.expect_failed(address)
        self.lab.router.ip(f"address del {address}/64 dev lan0")
        self.program.wait_event("clat.up", "wan0")
        self.program.stop()

    def test_that_the_host_gets_later(self) -> None:
        address = f"{WAN0.net}99"
        program = self.start(change=self.fixed(address))
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        for _ in range(2):
            since = program.mark()
            self.lab.router.ip(f"address add {address}/64 dev wan0 nodad")
            program.wait_event("clat.down", "wan0", since=since)
            self.expect_failed(address, since)
            since = program.mark()
            self.lab.router.ip(f"address del {address}/64 dev wan0")
            program.wait_event("clat.up", "wan0", since=since)
            self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()
