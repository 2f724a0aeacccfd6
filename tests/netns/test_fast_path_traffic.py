"""What the fast path carries by itself: traffic with no process left alive, and every kind of packet as clatd makes it."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness import tap, trace
from harness.case import LabTest, every_interface
from harness.clatvisor import SLOW, cmdline
from harness.lab import WAN0, stop_process, wait_until
from harness.namespace import Namespace
from harness.packet import ICMPV6, TCP, UDP, Ipv6, transport_checksum
from harness.traffic import Bulk, Client, UdpStream


def tcp_counter(namespace: Namespace, name: str) -> int:
    with namespace.entered():
        for file in ("snmp", "netstat"):
            rows = [line.split() for line in Path(f"/proc/thread-self/net/{file}").read_text().splitlines()]
            for names, values in zip(rows[::2], rows[1::2]):
                if names[0].startswith("Tcp") and name in names:
                    return int(values[names.index(name)])
    raise AssertionError(f"no counter {name}")


class NobodyAlive(LabTest):
    """kill -9 of clatvisor and clatd under load; then a successor."""

    uplinks = (WAN0,)
    nat64 = False

    # As much as a kernel in software emulation carries, too.
    RATE = int(10_000 / SLOW**2)  # datagrams a second
    BULK = int(25_000_000 / SLOW**2)  # bytes a second each way

    def setUp(self) -> None:
        super().setUp()
        for servers in self.lab.servers:
            servers.pace(self.BULK)
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 0)

    def test_nothing_is_lost_and_the_next_start_adopts(self) -> None:
        program = self.start()
        client, host = self.lab.client(WAN0), self.lab.direct_v4
        first = program.find("clat.up", "wan0")[0]
        tun = self.lab.router.link_index("v4-wan0")
        transfers = [Bulk(client, host), Bulk(client, host, upload=True, rate=self.BULK)]
        stream, started = UdpStream(client, host, self.RATE), time.monotonic()
        pings = self.lab.router.popen(
            "ping", "-n", "-i", "0.05", "-I", "v4-wan0", host, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.addCleanup(stop_process, pings)
        self.carry(transfers, stream)
        before = self.lost_segments()

        self.kill_both()
        self.forget_neighbour(first["v6"])
        self.carry(transfers, stream)
        self.assertEqual(self.lost_segments(), before)
        self.assertEqual(self.alive(), [])

        since, begin = program.mark(), time.monotonic()
        program.start()
        adopted = program.wait_event("supervisor.adopted", "wan0", since=since)
        ready = program.wait_event("clat.ready", "wan0", since=since)
        self.assertLess(ready.at - begin, 1 * SLOW)
        self.assertEqual((adopted["tun"], adopted["v4"], adopted["v6"]), ("v4-wan0", first["v4"], first["v6"]))
        self.assertEqual(self.lab.router.link_index("v4-wan0"), tun)
        self.carry(transfers, stream)
        self.assertEqual(self.lost_segments(), before)
        for transfer in transfers:
            self.assertLess(transfer.finish(), 1 * SLOW)
        self.assertGreater(stream.sent, self.RATE * (time.monotonic() - started) * 0.9 / SLOW)
        sent, lost = stream.finish()
        self.assertEqual((lost, stream.send_errors), (0, 0), f"of {sent}")
        self.assertEqual(client.ping(host), 3)
        program.stop()

    def carry(self, transfers: list[Bulk], stream: UdpStream) -> None:
        """Two seconds' worth of load gets through."""
        received = stream.received + 2 * self.RATE
        for transfer in transfers:
            transfer.wait_bytes(self.BULK, timeout=30 * SLOW)
        wait_until(lambda: stream.received >= received, 30 * SLOW, f"{stream.received} of {received} datagrams", every=0.05)

    def lost_segments(self) -> int:
        """What both ends sent again, but for what had arrived the first time: a late acknowledgement is no loss."""
        ends = (self.lab.router, self.lab.plat)
        return sum(tcp_counter(end, "RetransSegs") - tcp_counter(end, "TCPDSACKRecv") for end in ends)

    def alive(self) -> list[str]:
        commands = (" ".join(cmdline(pid)) for pid in self.lab.router.pids())
        return [command for command in commands if "clatvisor" in command or command.startswith("clatd")]

    def kill_both(self) -> None:
        pids = [self.program.wait_clatd("wan0"), self.program.pid]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.program.kill()  # reaps it
        wait_until(lambda: not any(map(cmdline, pids)), 5 * SLOW, "both are gone")

    def forget_neighbour(self, address: str) -> None:
        """The peer resolves the CLAT address again, with nobody but the programs to answer."""
        plat = self.lab.plat
        plat.run("ip", "-6", "neigh", "del", address, "dev", WAN0.far)

        def resolved() -> bool:
            found = plat.ip_json("-6", "neigh", "show", "to", address, "dev", WAN0.far)
            return bool(found) and found[0]["state"] == ["REACHABLE"]

        wait_until(resolved, 10 * SLOW, f"{address} is resolved anew")


class LargeSegments(LabTest):
    """A server whose MSS exceeds the uplink's MTU: what is sent fits the uplink all the same."""

    uplinks = (WAN0,)
    lan = True

    TUN_MTU = 1500 - 28

    def setUp(self) -> None:
        super().setUp()
        lab = self.lab
        for namespace, link in ((lab.plat, "srv0"), (lab.server, "srv0"), (lab.router, "lan0"), (lab.lan, "eth0")):
            namespace.ip(f"link set {link} mtu 9000")
        self.start(change=every_interface(fast_path="required"))

    def upload(self, client: Client) -> list[tap.IcmpMessage]:
        """The ICMP messages that it took."""
        with tap.icmp_messages(client.namespace) as messages:
            bulk = Bulk(client, self.lab.server_v4, upload=True)
            bulk.wait_bytes(2_000_000, timeout=30 * SLOW)
            self.assertEqual(bulk.segment_size(), self.TUN_MTU - 20 - 32)  # TCP with timestamps
            bulk.finish()
            return messages.items()

    def test_upload_from_the_router(self) -> None:
        self.assertEqual(self.upload(self.lab.client(WAN0)), [])
        self.program.stop()

    def test_upload_from_a_lan_of_jumbo_frames(self) -> None:
        """Its first full segments are as large as the server takes them."""
        told = {(message.kind, message.code, message.mtu) for message in self.upload(Client(self.lab.lan))}
        self.assertEqual(told, {(3, 4, self.TUN_MTU)})
        self.program.stop()


@dataclass(frozen=True)
class Way:
    """One direction of the trace: what goes in where, and where it comes out."""

    frames: dict[str, trace.Frame]
    injector: trace.Injector
    out: tap.Tap[trace.Frame]


class EveryKind(LabTest):
    """One mixed trace through both paths: the fast path does it alone, and makes of it what clatd makes."""

    uplinks = (WAN0,)
    nat64 = False

    V4, V6 = "192.0.0.4", f"{WAN0.net}c1a7"  # not checksum-neutral
    PEER = "192.175.48.99"  # nobody's
    RELAY = "2001:db8:ffff::9"  # on the way, outside the NAT64 prefix

    def setUp(self) -> None:
        super().setUp()
        router, plat = self.lab.router, self.lab.plat
        router.sysctl("net/ipv6/conf/all/forwarding", 1)
        # Nobody answers: what comes out is what went in.
        drop = "table inet lab {{ chain pre {{ type filter hook prerouting priority -400; {} drop; }}; }}"
        router.run("nft", "-f", "-", input=drop.format(f'iifname "{WAN0.tun}" meta nfproto ipv4'))
        plat.run("nft", "-f", "-", input=drop.format(f"ip6 saddr {self.V6}"))
        far = plat.ip_json("link", "show", WAN0.far)[0]["address"]
        self.ethernet = bytes.fromhex((WAN0.lladdr + far).replace(":", "") + f"{tap.ETH_P_IPV6:04x}")

    def start_path(self, fast_path: str) -> None:
        def change(config: dict) -> None:
            every_interface(fast_path=fast_path, ipv4_address=self.V4, ipv6_address=self.V6)(config)
            config["log"] = {"health-interval": "200ms"}

        self.start(change=change)

    def ways(self) -> list[Way]:
        router, plat = self.lab.router, self.lab.plat
        return [
            Way(
                trace.from_clat(self.V4, self.PEER),
                trace.Injector(router, WAN0.tun, b"", tap.ETH_P_IP),
                trace.incoming(plat, WAN0.far, tap.ETH_P_IPV6, 14),
            ),
            Way(
                trace.to_clat(WAN0.embed(self.PEER), self.V6, self.RELAY),
                trace.Injector(plat, WAN0.far, self.ethernet, tap.ETH_P_IPV6),
                trace.incoming(router, WAN0.tun, tap.ETH_P_IP, 0),
            ),
        ]

    def replay(self, *, hops: int) -> dict[str, trace.Frame]:
        """What came out for each frame. `hops`: how many the path counts as."""
        results = {}
        for way in self.ways():
            with way.out as out, way.injector as injector:
                for number, (name, frame) in enumerate(way.frames.items(), 1):
                    injector.send(frame)
                    found = out.wait(self.translated, name, count=number)[-1]
                    results[name] = comparable(found, hops)
        return results

    def translated(self, frame: trace.Frame) -> bool:
        packet = frame.packet
        return packet.source == self.V6 or packet.destination == self.V4

    def counters(self) -> Counter[str]:
        """Packets that the programs carried, and those that they did not."""
        # Collected wholly after now: the second from here.
        line = self.program.wait_event("health", "wan0", since=self.program.mark(), count=2)
        wanted = re.compile(r"fast_.*_packets|punt_|drop_")
        return Counter({key: int(value) for key, value in line.fields.items() if wanted.match(key)})

    def test_makes_what_clatd_makes(self) -> None:
        self.start_path("off")
        slow = self.replay(hops=2)  # the router's IPv6 forwarding is one
        self.program.stop()
        self.start_path("required")
        fast = self.replay(hops=1)
        self.assertEqual(fast.keys(), slow.keys())
        for name, frame in fast.items():
            with self.subTest(name):
                self.assertEqual(frame, slow[name])
                self.assert_sums(frame)
        self.program.stop()

    def test_carries_it_alone(self) -> None:
        self.start_path("required")
        before = self.counters()
        frames = len(self.replay(hops=1))
        rose = self.counters() - before
        alone = sum(count for key, count in rose.items() if key.startswith("fast_"))
        others = rose.total() - alone
        self.assertLessEqual(others, 0.01 * frames, rose)
        self.assertGreaterEqual(alone, frames - others)  # more: super-packets count their segments
        self.program.stop()

    def assert_sums(self, frame: trace.Frame) -> None:
        """Whatever is finished and whole carries a right checksum."""
        packet = frame.packet
        if packet.protocol in (TCP, UDP, ICMPV6) and not frame.unfinished and not packet.is_fragment:
            self.assertEqual(transport_checksum(packet.source, packet.destination, packet.protocol, packet.payload), 0)


def comparable(frame: trace.Frame, hops: int) -> trace.Frame:
    """Without the Identification that each translator chooses for itself, and before the hops were taken."""
    packet = frame.packet
    if isinstance(packet, Ipv6):
        changed = {"hop_limit": packet.hop_limit + hops}
    else:
        changed = {"ttl": packet.ttl + hops, "identification": packet.identification if packet.is_fragment else 0}
    return dataclasses.replace(frame, packet=dataclasses.replace(packet, **changed))
