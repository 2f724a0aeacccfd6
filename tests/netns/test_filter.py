"""A clatd in the wrong hands: whatever it writes, nothing leaves the tun but what a CLAT sends and delivers."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import packet
from harness.case import WITHOUT_TCX, LabTest, every_interface
from harness.clatvisor import BIN, SLOW, cmdline, run_to_exit
from harness.lab import WAN0, WWAN0, Uplink, wait_until
from harness.packet import UDP, Ipv4, Ipv6, embedded
from harness.tap import ETH_P_IP, ETH_P_IPV6, Tap, incoming

PEER, PORT = "192.175.48.99", 7777
# Neither ours nor behind a NAT64; it is the relay's, so there is a way to it.
OUTSIDE = "2001:db8:ffff::2"
HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS = 0, 43, 60
FORGED, ALLOWED = b"forged", b"allowed"
# By WAN0 these hosts of the LAN are mapped one to one.
MAPPED, MAPPED_INTO, MAPPED_HOST = "10.77.0.0/24", "2001:db8:c1a0:77::/64", "10.77.0.5"


def ipv6(source: str, destination: str, data: bytes = FORGED, **header: object) -> bytes:
    return bytes(Ipv6(source, destination, UDP, packet.udp(source, destination, (PORT, PORT), data), **header))


def with_header(kind: int, source: str, destination: str, *, fragment: tuple[int, bool, int] | None = None) -> bytes:
    options = struct.pack("!BB", UDP, 0) + (bytes((1, 4, 0, 0, 0, 0)) if kind != ROUTING else bytes(6))
    return bytes(Ipv6(source, destination, kind, options + packet.udp(source, destination, (PORT, PORT), FORGED), fragment=fragment))


def ipv4(source: str, destination: str, data: bytes = FORGED) -> bytes:
    return bytes(Ipv4(source, destination, UDP, packet.udp(source, destination, (PORT, PORT), data)))


class Forged(LabTest):
    """The cases say how clatvisor is started; each must stand the same attack."""

    nat64 = False
    lan = True
    relay = True
    bpf_dir: str | None = None

    def setUp(self) -> None:
        super().setUp()
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.lab.router.ip(f"route add {MAPPED} via {self.lab.lan_host}")
        self.clatd = self.lab.scratch / "forges"
        shutil.copy(BIN / "stub_clatd", self.clatd)

    def forging(self, fast_path: str, *, bpf_dir: str | None = None, audit: str = "5s", health: str = "1m") -> Callable[[dict], None]:
        def change(config: dict) -> None:
            every_interface(fast_path=fast_path)(config)
            config["interfaces"]["wan0"].update({"ipv4-source": MAPPED, "ipv6-source": MAPPED_INTO})
            config["clatd"] = {"path": self.clatd}
            config["audit-interval"] = audit
            config["log"] = {"health-interval": health}
            if bpf_dir:
                config["bpf-dir"] = bpf_dir

        return change

    def start_forging(self, *, fast_path: str, up: bool = True, audit: str = "5s", health: str = "1m", **options) -> None:
        self.start(up=up, change=self.forging(fast_path, bpf_dir=self.bpf_dir, audit=audit, health=health), **options)
        for uplink in self.uplinks:
            self.program.wait_event("clat.ready", uplink.name)
        chosen = {uplink: self.program.find("address.chosen", uplink.name)[0] for uplink in self.uplinks}
        self.v4 = {uplink: event["v4"] for uplink, event in chosen.items()}
        self.v6 = {uplink: event["v6"] for uplink, event in chosen.items()}

    def orphans(self) -> list[int]:
        """Kills the supervisor alone; its clatds go on."""
        orphans = [self.program.wait_clatd(uplink.name) for uplink in self.uplinks]
        self.program.process.kill()
        self.program.process.wait()
        return orphans

    def write(self, uplink: Uplink, data: bytes) -> None:
        """Has the clatd of this uplink write a packet."""
        with contextlib.closing(self.lab.router.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            sock.settimeout(5 * SLOW)
            sock.bind("")
            sock.sendto(data, f"\0forges-{uplink.name}")
            self.assertEqual(sock.recv(1), b"\0", "the errno of its write")

    def attacks(self, uplink: Uplink) -> dict[str, bytes]:
        other = WWAN0 if uplink == WAN0 else WAN0
        own, peer = self.v6[uplink], uplink.embed(PEER)
        mapped, beside = embedded(MAPPED_INTO, MAPPED_HOST), embedded(MAPPED_INTO, "10.77.1.5")
        suffix = str(ipaddress.IPv6Address(mapped) + 1)
        of_what_is_mapped = {
            "as one beside what is mapped": ipv6(beside, peer),
            "as a mapped host, with a suffix": ipv6(suffix, peer),
            "as a mapped host, to outside the NAT64 prefix": ipv6(mapped, OUTSIDE),
            "to one beside what is mapped": ipv4(PEER, "10.77.1.5"),
            "as a mapped host to the CLAT": ipv4(MAPPED_HOST, self.v4[uplink]),
            "as a mapped host to another": ipv4(MAPPED_HOST, "10.77.0.6"),
        }
        if uplink != WAN0:
            of_what_is_mapped = {
                "as a host mapped by another": ipv6(mapped, peer),
                "to a host mapped by another": ipv4(PEER, MAPPED_HOST),
            }
        headers = {"hop-by-hop": HOP_BY_HOP, "routing": ROUTING, "destination options": DESTINATION_OPTIONS}
        return {
            "as the router": ipv6(uplink.router, peer),
            "as the router, to anybody": ipv6(uplink.router, OUTSIDE),
            "as the router's other address": ipv6(other.router, OUTSIDE),
            "as another CLAT": ipv6(self.v6[other], other.embed(PEER)),
            "as a neighbour": ipv6(f"{uplink.net}77", peer),
            "to outside the NAT64 prefix": ipv6(own, OUTSIDE),
            "to the router": ipv6(own, uplink.router),
            "to itself": ipv6(own, own),
            "to another CLAT": ipv6(own, self.v6[other]),
            **{name: with_header(kind, own, peer) for name, kind in headers.items()},
            **{f"{name} in a fragment": with_header(kind, own, peer, fragment=(0, False, 7)) for name, kind in headers.items()},
            "to the LAN": ipv4(PEER, self.lab.lan_host),
            "as the LAN to the router": ipv4(self.lab.lan_host, "192.168.7.1"),
            "as the LAN to the CLAT": ipv4(self.lab.lan_host, self.v4[uplink]),
            "as loopback": ipv4("127.0.0.1", self.v4[uplink]),
            "as itself": ipv4(self.v4[uplink], self.v4[uplink]),
            "to another CLAT's IPv4": ipv4(PEER, self.v4[other]),
            "to all": ipv4(PEER, "255.255.255.255"),
            "to the Internet": ipv4(self.lab.lan_host, PEER),
            **of_what_is_mapped,
        }

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[Tap[bytes]]]:
        """Everything that comes out anywhere: of each uplink, into the LAN, to the router's own sockets."""
        lab, router = self.lab, self.lab.router
        with contextlib.ExitStack() as stack:
            taps = [
                stack.enter_context(incoming(namespace, link, ethertype))
                for namespace, link in ((lab.provider, WAN0.far), (lab.provider, WWAN0.far), (lab.lan, "eth0"))
                for ethertype in (ETH_P_IP, ETH_P_IPV6)
            ]
            for family, everywhere in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
                sock = router.socket(family, socket.SOCK_DGRAM)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((everywhere, PORT))
                taps.append(stack.enter_context(Tap(sock, lambda data, _: data)))
            yield taps

    def assert_confined(self, *, delivers: bool = True) -> None:
        for uplink in self.uplinks:
            with self.watched() as taps:
                attacks = self.attacks(uplink)
                for what, forged in attacks.items():
                    self.write(uplink, forged)
                # Behind them all what a CLAT may send, and deliver.
                self.write(uplink, ipv6(self.v6[uplink], uplink.embed(PEER), ALLOWED))
                far = taps[1 if uplink == WAN0 else 3]
                far.wait(lambda data: ALLOWED in data, f"what may leave by {uplink.name}")
                if uplink == WAN0:
                    self.write(uplink, ipv6(embedded(MAPPED_INTO, MAPPED_HOST), uplink.embed(PEER), ALLOWED))
                    far.wait(lambda data: ALLOWED in data, "what a mapped host may send", count=2)
                if delivers:
                    self.write(uplink, ipv4(PEER, self.v4[uplink], ALLOWED))
                    taps[-1].wait(lambda data: ALLOWED in data, f"what may come in by {uplink.name}")
                    if uplink == WAN0:
                        self.write(uplink, ipv4(PEER, MAPPED_HOST, ALLOWED))
                        taps[4].wait(lambda data: ALLOWED in data, "what may be sent to a mapped host")
                for tap in taps:
                    self.assertEqual([data.hex() for data in tap.find(lambda data: FORGED in data)], [])


class ByBpf(Forged):
    def test_on_the_routed_leg(self) -> None:
        self.start_forging(fast_path="off")
        self.assert_confined()
        self.program.stop()

    def test_on_the_fast_leg(self) -> None:
        self.start_forging(fast_path="required")
        self.assert_confined()
        self.program.stop()

    def test_at_clsact(self) -> None:
        self.start_forging(fast_path="off", wrap=WITHOUT_TCX)
        self.assert_confined()
        self.program.stop()

    def test_while_the_fast_path_cannot_be_attached(self) -> None:
        """Somebody else's filter is at our place on the uplinks."""
        for mode in ("required", "auto"):
            with self.subTest(mode):
                for uplink in self.uplinks:
                    self.lab.router.run("tc", "qdisc", "replace", "dev", uplink.name, "clsact")
                    place = ("ingress", "prio", "4", "handle", "0x464", "protocol", "all", "bpf", "bytecode", "1,6 0 0 0")
                    self.lab.router.run("tc", "filter", "replace", "dev", uplink.name, *place)
                self.start_forging(fast_path=mode, up=mode == "auto", wrap=WITHOUT_TCX)
                self.program.wait_event("clat.failed" if mode == "required" else "fastpath.unavailable")
                self.assert_confined(delivers=mode == "auto")  # with no default route IPv4 fails the loose rp_filter
                self.program.stop()

    def test_that_outlives_its_supervisor(self) -> None:
        self.start_forging(fast_path="off")
        orphans = self.orphans()
        try:
            self.assert_confined()
        finally:
            for orphan in orphans:
                self.assertTrue(cmdline(orphan)[0].startswith("clatd-"))
                os.kill(orphan, signal.SIGKILL)
        since = self.program.mark()
        self.program.start().wait_up(since=since)
        self.assert_confined()
        self.program.stop()


    def test_while_another_uplink_has_its_uplinks_number(self) -> None:
        """Its uplink is gone, and it does not care for SIGTERM."""
        self.clatd = self.clatd.rename(self.lab.scratch / "forges-on")
        number = self.lab.router.link_index(WAN0.name)
        self.lab.delete_link(WWAN0)

        def change(config: dict) -> None:
            self.forging("required")(config)
            config["clatd"]["stop-timeout"] = "3s"

        self.start(up=False, change=change)
        self.program.wait_up(WAN0.name)
        clatd = self.program.wait_clatd(WAN0.name)
        listener = self.lab.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind(("192.168.7.1", PORT))
        listener.settimeout(5 * SLOW)
        since = self.program.mark()
        self.lab.delete_link(WAN0)
        self.lab.make_link(WWAN0, index=number)
        self.program.wait_event("address.chosen", WWAN0.name, since=since)
        tries = 0
        with contextlib.suppress(OSError):  # until it is killed
            while cmdline(clatd)[:1] == [f"clatd-{WAN0.name}"]:
                self.write(WAN0, ipv4(PEER, "192.168.7.1"))
                with self.lab.router.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.sendto(ALLOWED, ("192.168.7.1", PORT))
                self.assertEqual(listener.recv(64), ALLOWED)
                tries += 1
        self.assertGreater(tries, 10)
        self.program.wait_up(WWAN0.name, since=since)
        self.program.kill()


class ByNftables(Forged):
    """bpf-dir lies in no bpffs."""

    def setUp(self) -> None:
        super().setUp()
        self.bpf_dir = str(self.lab.scratch / "no-bpffs")
        self.before = self.snapshot()

    def start_forging(self, **options) -> None:
        super().start_forging(**options)
        for uplink in self.uplinks:
            self.assertEqual(len(self.program.find("filter.unavailable", uplink.name)), 1, self.program.tail())

    def table(self) -> str:
        return f"inet clatvisor_{self.lab.router.link_index(WAN0.tun)}"

    def test_on_the_routed_leg(self) -> None:
        for mode in ("off", "auto"):
            with self.subTest(mode):
                self.start_forging(fast_path=mode)
                self.assert_confined()
                self.program.stop()
                self.assert_unchanged(self.before, "after a stop")

    def test_while_the_fast_path_is_required(self) -> None:
        self.start_forging(fast_path="required", up=False)
        self.program.wait_event("clat.failed")
        # Nothing announces the CLAT, but what its clatd writes is routed if it may be.
        self.assert_confined(delivers=False)
        self.program.stop()

    def test_a_foreign_hand(self) -> None:
        """Whatever somebody does to the table, it is as it was at once; no audit comes."""
        self.start_forging(fast_path="off", audit="1h")
        table = self.table()
        last = self.lab.router.run("nft", "-a", "list", "chain", *table.split(), "clatd").rsplit("# handle ", 1)[1].split()[0]
        hands = (
            f"delete rule {table} clatd handle {last}",
            f"delete table {table}",
            "flush ruleset inet",
            f"flush chain {table} clatd",
            f"insert rule {table} clatd accept",
            f"add table {table} {{ flags dormant; }}",
        )
        took = []
        for hand in hands:
            with self.subTest(hand):
                since = self.program.mark()
                self.lab.router.run("nft", hand)
                done = time.monotonic()
                for uplink in self.uplinks if hand == "flush ruleset inet" else (WAN0,):
                    self.program.wait_event("part.lost", uplink.name, since=since, part="filter")
                    restored = self.program.wait_event("filter.restored", uplink.name, since=since, means="nftables")
                    took.append(restored.at - done)
                self.assert_confined()
        took.sort()
        print(f"restored within {took[len(took) // 2] * 1000:.0f} ms, {took[-1] * 1000:.0f} ms at most", flush=True)
        self.assertLess(took[len(took) // 2], 0.1 * SLOW)
        self.program.stop()
        self.assert_unchanged(self.before, "after a stop")

    def test_what_was_dropped_is_in_the_health_line(self) -> None:
        self.start_forging(fast_path="off", health="100ms")
        self.assert_confined()
        attacks = len(self.attacks(WAN0))
        health = self.program.wait_event("health", "wan0", since=self.program.mark(), count=2)
        self.assertEqual((int(health["drop_filter"]), int(health["drop_connected"])), (attacks - 1, 1))
        self.program.stop()

    def test_that_outlives_its_supervisor(self) -> None:
        self.start_forging(fast_path="off")
        orphans = self.orphans()
        try:
            self.assert_confined()
            # Nor does the next one's start free them: it waits until they let go of the tuns.
            since = self.program.mark()
            self.program.start()
            self.program.wait_event("clat.failed", since=since)
            self.assert_confined()
        finally:
            for orphan in orphans:
                os.kill(orphan, signal.SIGKILL)
        self.program.wait_up(since=since, timeout=30)
        self.assert_confined()
        self.program.stop()
        self.assert_unchanged(self.before, "after a stop")

    def test_cleanup_leaves_nothing(self) -> None:
        self.start_forging(fast_path="off")
        self.assertIn(f"table {self.table()}", self.lab.router.run("nft", "list", "tables"))
        orphans = self.orphans()
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)
        wait_until(lambda: not any(cmdline(orphan)[0] for orphan in orphans), 5 * SLOW, "the orphans are gone")
        done = run_to_exit(self.lab, "--config", str(self.program.config_file), "--cleanup")
        # Without a bpffs there are no pins to look for.
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_unchanged(self.before, "after --cleanup")

    def test_without_nft_there_is_no_clatd(self) -> None:
        change = self.forging("off", bpf_dir=self.bpf_dir)
        self.start(up=False, change=change, wrap=["env", "PATH=/nowhere"])
        failed = self.program.wait_event("clat.failed", "wan0")
        self.assertEqual(failed["part"], "filter")
        self.assertIn("nft", failed["reason"])
        self.assertIsNone(self.program.clatd_pid("wan0"))
        self.program.stop()
        self.assert_unchanged(self.before, "after a stop")

    def test_back_to_bpf(self) -> None:
        """A bpffs is mounted meanwhile, and a reload tries it at once."""
        folder = Path(self.bpf_dir)
        self.start_forging(fast_path="auto")
        folder.mkdir()
        subprocess.run(["mount", "-t", "bpf", "-o", "mode=0700", "bpf", str(folder)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(folder)], check=True)
        children = [self.program.wait_clatd(uplink.name) for uplink in self.uplinks]
        since = self.program.mark()
        self.program.reload()
        for uplink in self.uplinks:
            self.program.wait_event("filter.restored", uplink.name, since=since, means="bpf")
            self.program.wait_event("fastpath.attached", uplink.name, since=since)
        self.assertNotIn("clatvisor", self.lab.router.run("nft", "list", "tables"))
        self.assert_confined()
        self.assertEqual([self.program.wait_clatd(uplink.name) for uplink in self.uplinks], children)
        self.program.stop()


class Allowed(LabTest):
    """What a good clatd sends on the routed leg is the operator's to see, and to forbid."""

    uplinks = (WAN0,)

    def test_forward_and_conntrack_see_it(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        before = self.snapshot()
        self.start(change=every_interface(fast_path="off"))
        client = self.lab.client(WAN0)
        client.udp_echo(self.lab.server_v4)
        seen = "iifname v4-wan0 meta nfproto ipv6 ct state established counter name seen"
        rules = f"add table inet watch; add counter inet watch seen; add chain inet watch forward {{ type filter hook forward priority 0; }}; add rule inet watch forward {seen}"
        self.lab.router.run("nft", "-f", "-", input=rules)
        client.tcp_echo(self.lab.server_v4)
        counted = self.lab.router.run("nft", "list", "counter", "inet", "watch", "seen")
        self.assertNotIn("packets 0 ", counted)
        self.lab.router.run("nft", "add rule inet watch forward iifname v4-wan0 drop")
        self.assertFalse(client.udp_works(self.lab.server_v4, timeout=1))
        self.lab.router.run("nft", "delete table inet watch")
        self.assertTrue(client.udp_works(self.lab.server_v4))
        self.program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_drops_are_in_the_health_line(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.start(change=lambda config: (every_interface(fast_path="off")(config), config.update(log={"health-interval": "100ms"})))
        self.assertEqual(self.program.wait_event("health", "wan0", since=self.program.mark(), state="up")["drop_source"], "0")
        self.program.stop()
