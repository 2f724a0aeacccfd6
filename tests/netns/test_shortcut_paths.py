"""What the shortcut makes of packets is what the way through the stack makes of them; and the links that it works on."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

from harness import conntrack, ethtool, tap, trace
from harness.case import every_interface
from harness.clatvisor import SLOW
from harness.lab import WAN0, wait_until
from harness.packet import TCP, UDP, Ipv4, Ipv6, embedded, tcp, udp
from harness.traffic import Bulk, Client, UdpStream
from test_gro import JOINS, LINKS, SENDS, SUMMED, joined, wrong_ones
from test_shaping import IFB, RATE, U32, rate
from test_shortcut import MEGABYTE, ShortcutTest

PEER = "192.175.48.99"  # nobody's
V4, V6 = "192.0.0.4", f"{WAN0.net}c1a7"  # not checksum-neutral
OUT, BACK = trace.PORTS, trace.PORTS[::-1]  # of flows from the LAN; to_clat() has answers of the second
SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10
ENDING = ("SYN", "FIN", "RST")


class EveryKind(ShortcutTest):
    """One mixed trace of a LAN host's flows, past the stack and through it."""

    def setUp(self) -> None:
        super().setUp()
        lab = self.lab
        lab.router.sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", 1)  # the numbers of the trace are made up
        # Nobody answers: what comes out is what went in.
        drop = "table inet lab {{ chain pre {{ type filter hook prerouting priority -400; {} drop; }}; }}"
        lab.lan.run("nft", "-f", "-", input=drop.format('iifname "eth0" ip version 4'))
        lab.plat.run("nft", "-f", "-", input=drop.format(f"ip6 saddr {V6}"))
        mac = lambda space, link: space.ip_json("link", "show", link)[0]["address"]  # noqa: E731
        self.from_lan = self.header(mac(lab.router, "lan0"), mac(lab.lan, "eth0"), tap.ETH_P_IP)
        self.from_uplink = self.header(WAN0.lladdr, mac(lab.plat, WAN0.far), tap.ETH_P_IPV6)

    @staticmethod
    def header(to: str, source: str, ethertype: int) -> bytes:
        return bytes.fromhex((to + source).replace(":", "") + f"{ethertype:04x}")

    def begin(self, offload: bool) -> None:
        def change(config: dict) -> None:
            every_interface(ipv4_address=V4, ipv6_address=V6)(config)
            if not offload:
                config["lan"] = {}

        if offload:
            self.serve(change=change)
        else:
            self.config = {}
            self.start(change=lambda config: (change(config), config.update({"log": {"health-interval": "100ms"}})))

    def replay(self, *, past: bool) -> tuple[Counter[trace.Frame], set[conntrack.Connection]]:
        lab, peer6, host = self.lab, WAN0.embed(PEER), self.lab.lan_host
        ways = [
            (trace.Injector(lab.lan, "eth0", self.from_lan, tap.ETH_P_IP), trace.from_clat(host, PEER)),
            (
                trace.Injector(lab.plat, WAN0.far, self.from_uplink, tap.ETH_P_IPV6),
                trace.to_clat(peer6, V6, "2001:db8:ffff::9"),
            ),
        ]
        out = trace.incoming(lab.plat, WAN0.far, tap.ETH_P_IPV6, 14), trace.incoming(lab.lan, "eth0", tap.ETH_P_IP, 14)
        with out[0], out[1], ways[0][0] as lan, ways[1][0] as uplink:
            self.open_flows(lan, uplink, peer6)
            before = self.counters()
            if past:  # a packet of each kind and way proves it
                self.prove(lan, uplink, peer6)
            for tapped in out:
                self.settle(tapped)
                tapped.items().clear()
            for ending in (False, True):
                for injector, frames in ways:
                    for name, frame in frames.items():
                        if any(word in name for word in ENDING) == ending:
                            injector.send(frame)
                for tapped in out:
                    self.settle(tapped)
            found = Counter(self.comparable(frame) for tapped in out for frame in tapped.items() if self.ours(frame))
            after = self.counters()
        taken = [after[f"shortcut_{way}_packets"] - before[f"shortcut_{way}_packets"] for way in ("to_ipv6", "to_ipv4")]
        print(f"{sum(found.values())} frames came out, {taken} packets by the shortcut")
        if past:
            self.assertGreater(min(taken), 60)
        else:
            self.assertEqual(taken, [0, 0])
        states = {
            dataclasses.replace(each, tcp_flags=()) for each in conntrack.connections(lab.router) if each.original.source == host
        }
        return found, states

    def open_flows(self, lan: trace.Injector, uplink: trace.Injector, peer6: str) -> None:
        """Until connection tracking calls all four assured."""
        host = self.lab.lan_host
        for ports in (OUT, BACK):
            lan.send(trace.Frame(Ipv4(host, PEER, TCP, tcp(host, PEER, ports, b"", sequence=0, flags=SYN))))
            uplink.send(trace.Frame(Ipv6(peer6, V6, TCP, tcp(peer6, V6, ports[::-1], b"", sequence=0, flags=SYN_ACK))))
            time.sleep(0.1)
            lan.send(trace.Frame(Ipv4(host, PEER, TCP, tcp(host, PEER, ports, b"", sequence=1, flags=ACK))))

        def assured() -> bool:
            self.datagrams(lan, uplink, peer6)
            return sum(each.assured for each in conntrack.connections(self.lab.router)) == 4

        wait_until(assured, 10 * SLOW, "all flows are assured", every=0.2)

    def datagrams(self, lan: trace.Injector, uplink: trace.Injector, peer6: str) -> None:
        host = self.lab.lan_host
        for ports in (OUT, BACK):
            lan.send(trace.Frame(Ipv4(host, PEER, UDP, udp(host, PEER, ports, b"prime"))))
            uplink.send(trace.Frame(Ipv6(peer6, V6, UDP, udp(peer6, V6, ports[::-1], b"prime"))))

    def prove(self, lan: trace.Injector, uplink: trace.Injector, peer6: str) -> None:
        host = self.lab.lan_host
        wait_until(lambda: self.flows() == 4, 10 * SLOW, "four flows may take the shortcut")
        self.datagrams(lan, uplink, peer6)
        for ports in (OUT, BACK):
            lan.send(trace.Frame(Ipv4(host, PEER, TCP, tcp(host, PEER, ports, b"prime"))))
            uplink.send(trace.Frame(Ipv6(peer6, V6, TCP, tcp(peer6, V6, ports[::-1], b"prime"))))
        time.sleep(0.1)  # what is queued in the stack is not overtaken

    @staticmethod
    def settle(tapped: tap.Tap[trace.Frame]) -> None:
        """Until nothing more comes."""
        number = -1
        while number != len(tapped.items()):
            number = len(tapped.items())
            time.sleep(0.3)

    def ours(self, frame: trace.Frame) -> bool:
        return frame.packet.source == V6 or frame.packet.destination == self.lab.lan_host

    @staticmethod
    def comparable(frame: trace.Frame) -> trace.Frame:
        """An identification of IPv4 is chance (RFC 7915, section 5.1)."""
        packet = frame.packet
        if isinstance(packet, Ipv4) and not packet.is_fragment:
            packet = dataclasses.replace(packet, identification=0)
        return dataclasses.replace(frame, packet=packet)

    def test_comes_out_alike(self) -> None:
        results = []
        for past in (False, True):
            conntrack.delete(self.lab.router)
            self.begin(offload=past)
            results.append(self.replay(past=past))
            self.program.stop()
        (through, states), (shortcut, states_after) = results
        self.assertEqual(list((through - shortcut).elements()), [], "came out of the stack only")
        self.assertEqual(list((shortcut - through).elements()), [], "came out of the shortcut only")
        self.assertEqual(states, states_after)


class OneToOne(ShortcutTest):
    SOURCE = "2001:db8:c1a7:c1a7::/96"

    def test_hosts_keep_their_addresses(self) -> None:
        lab = self.lab
        lab.router.run("nft", "delete", "table", "ip", "lab_nat")
        lab.plat.ip(f"route add 2001:db8:c1a0::/44 via {WAN0.router}")
        mapped = embedded(self.SOURCE, lab.lan_host)
        self.forward("ct state invalid drop")  # connections are tracked where a rule asks for it
        self.serve(change=every_interface(ipv4_source="192.168.7.0/24", ipv6_source=self.SOURCE))
        download = Bulk(self.host, self.server)
        self.wait_taken(more=1000)
        download.finish()
        with tap.incoming(lab.plat, WAN0.far, tap.ETH_P_IPV6) as uplink:
            stream = UdpStream(self.host, self.server, rate=500)
            self.wait_taken(more=100)
            sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        packets = [Ipv6.parse(data) for data in uplink.items()]
        self.assertEqual({each.source for each in packets if each.protocol == UDP}, {mapped})
        self.program.stop()


class Shaped(ShortcutTest):
    def test_downloads_are_shaped(self) -> None:
        router = self.lab.router
        router.ip(f"link add {IFB} type ifb", f"link set {IFB} up")
        router.run("tc", "qdisc", "add", "dev", IFB, "root", "tbf", "rate", "20mbit", "burst", "20k", "latency", "50ms")
        self.serve()
        download = Bulk(self.host, self.server)
        self.wait_taken(more=1000)
        download.finish()
        # It comes while flows take the shortcut.
        router.run("tc", "qdisc", "add", "dev", WAN0.name, "handle", "ffff:", "ingress", check=False)
        router.run("tc", "filter", "add", "dev", WAN0.name, "parent", "ffff:", *U32, "action", "mirred", "egress", "redirect", "dev", IFB)
        self.program.wait_event("shaping.followed", WAN0.name)
        before = self.taken()
        found = rate(self.host, self.server)
        print(f"{found * 8 / 1e6:.1f} Mbit/s")
        self.assertLess(found, 1.1 * RATE)
        self.assertGreater(found, 0.7 * RATE / SLOW)
        out, back = self.taken()
        self.assertEqual(back, before[1])
        self.assertGreater(out, before[0])
        self.program.stop()


class Lists(ShortcutTest):
    """The router's links join what they receive, as OpenWrt's do, and its devices send each packet by itself."""

    def test_all_comes_out_as_it_should(self) -> None:
        lab = self.lab
        for namespace, link in ((lab.plat, WAN0.far), (lab.lan, "eth0")):
            ethtool.set_features(namespace, link, **SENDS)
        for link in LINKS:
            ethtool.set_features(lab.router, link, **SUMMED)
        self.serve()
        for name, joins in JOINS.items():
            with self.subTest(name):
                for link in LINKS:
                    ethtool.set_features(lab.router, link, **joins)
                self.check()
        self.program.stop()

    def check(self) -> None:
        lab = self.lab
        before = self.taken()
        with (
            tap.incoming(lab.router, WAN0.name, tap.ETH_P_IPV6) as down, tap.incoming(lab.router, "lan0", tap.ETH_P_IP) as up,
            tap.incoming(lab.lan, "eth0", tap.ETH_P_IP) as at_host, tap.incoming(lab.plat, WAN0.far, tap.ETH_P_IPV6) as at_server,
        ):  # fmt: skip
            self.host.tcp_echo(self.server, 4 * MEGABYTE, timeout=20 * SLOW)
        self.assertGreater(min(now - then for now, then in zip(self.taken(), before, strict=True)), 100)
        for each in (down, up):
            self.assertGreater(joined(each, TCP), 0)
        self.assertEqual(wrong_ones(at_host), [])
        self.assertEqual(wrong_ones(at_server), [])


class Links(ShortcutTest):
    def assert_works(self, device: str) -> None:
        self.serve_on(device)
        download = Bulk(self.host, self.server)
        self.wait_taken(more=1000)
        download.finish()
        stream = UdpStream(self.host, self.server, rate=500)
        self.wait_taken(more=100)
        sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        self.program.stop()

    def serve_on(self, device: str) -> None:
        def change(config: dict) -> None:
            config["lan"] = {"offload": [device]}
            config["log"] = {"health-interval": "100ms"}

        self.start(change=change)
        self.program.wait_event("shortcut.served", device)

    def bridge(self) -> None:
        self.lab.router.ip(
            "address del 192.168.7.1/24 dev lan0", "link add br-lan type bridge", "link set lan0 master br-lan",
            "link set br-lan up", "address add 192.168.7.1/24 dev br-lan",
        )  # fmt: skip

    def test_a_bridge(self) -> None:
        self.bridge()
        self.assert_works("br-lan")

    def test_a_router_in_the_lan(self) -> None:
        """The host is behind it: its next hop is known from the route."""
        lab = self.lab
        behind = "10.9.9.9"
        lab.lan.ip(f"address add {behind}/32 dev lo", f"route replace default via 192.168.7.1 src {behind}")
        lab.router.ip(f"route add {behind}/32 via {lab.lan_host}")
        self.assert_works("lan0")

    def test_a_port_of_a_bridge_is_none(self) -> None:
        """What is seen on it was not routed, and proves nothing."""
        self.bridge()
        self.serve_on("lan0")
        stream = UdpStream(self.host, self.server, rate=500)
        time.sleep(4)
        self.assertEqual(self.taken(), [0, 0])
        sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        self.program.stop()

    def test_a_narrow_lan(self) -> None:
        """Its host is told what is too big, by the stack."""
        lab = self.lab
        lab.router.ip("link set lan0 mtu 1300")
        lab.lan.ip("link set eth0 mtu 1300", "route replace default via 192.168.7.1 advmss 1460")
        self.serve_on("lan0")
        download = Bulk(Client(lab.lan), self.server)
        self.wait_taken(more=1000)
        download.finish()
        self.assertEqual(self.counters()["drop_kernel"], 0)
        self.program.stop()
