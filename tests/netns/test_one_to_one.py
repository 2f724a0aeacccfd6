"""`ipv4-source`: hosts of a LAN have IPv6 addresses of their own in a delegated prefix (RFC 6877 §6.3), and no NAT44."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable

from harness import probe, tap
from harness.case import WITHOUT_BPF, BothPaths
from harness.clatvisor import SLOW
from harness.lab import WAN0, wait_until
from harness.packet import Ipv6, embedded
from harness.traffic import ECHO, SINK, Bulk, Client, Servers, UdpStream

DELEGATED = "2001:db8:c1a0::/44"  # to the router
SOURCE = "2001:db8:c1a7:c1a7::/96"
LAN = "192.168.7.0/24"
EVERY_LENGTH = (
    "2001:dba::/32", "2001:dba:5600::/40", "2001:db8:c1a0::/48", "2001:db8:c1a0:5600::/56", "2001:db8:c1a0:56::/64", SOURCE,
)  # fmt: skip
CLAT = "192.0.0.8"  # the source of its own ICMP errors, and of those from routers without an IPv4 address
FRAGMENTATION_NEEDED = (3, 4)
MEGABYTE = 1_000_000


class OneToOne(BothPaths):
    fast_paths = ("off", "required", WITHOUT_BPF)
    uplinks = (WAN0,)
    lan = True
    relay = True

    def setUp(self) -> None:
        super().setUp()
        lab = self.lab
        lab.router.run("nft", "delete", "table", "ip", "lab_nat")
        for prefix in (DELEGATED, "2001:dba::/32"):
            lab.provider.ip(f"route add {prefix} via {WAN0.router}")
            lab.plat.ip(f"route add {prefix} via 2001:db8:ffff::1")
        for namespace in (lab.lan, lab.router, lab.provider, lab.plat, lab.server):
            namespace.sysctl("net/ipv4/icmp_ratelimit", 0)
            namespace.sysctl("net/ipv6/icmp/ratelimit", 0)
        self.host = Client(lab.lan)
        self.mapped = embedded(SOURCE, lab.lan_host)

    def start_mapped(self, *, v4: object = LAN, v6: object = SOURCE, change: Callable[[dict], None] | None = None, **options):
        def with_sources(config: dict) -> None:
            config["interfaces"]["wan0"].update({"ipv4-source": v4, "ipv6-source": v6})
            config["log"] = {"health-interval": "100ms"}
            if change:
                change(config)

        self.config: dict = {}
        return self.start(change=lambda config: (with_sources(config), self.config.update(config)), **options)

    def remap(self, v4: object, v6: object) -> None:
        self.config["interfaces"]["wan0"].update({"ipv4-source": v4, "ipv6-source": v6})
        since = self.program.mark()
        self.program.reload(self.config)
        self.program.wait_event("clat.ready", "wan0", since=since)

    def on_the_uplink(self) -> tap.Tap[Ipv6]:
        """What goes from the router to the NAT64."""
        there = ipaddress.IPv6Network(WAN0.prefix)
        kept = tap.incoming(self.lab.provider, WAN0.far, tap.ETH_P_IPV6)
        make = kept._make
        kept._make = lambda data, origin: (
            None if make(data, origin) is None or ipaddress.IPv6Address(data[24:40]) not in there else Ipv6.parse(data)
        )
        return kept

    def counter(self, name: str) -> int:
        """As a health line says that was collected wholly after now."""
        line = self.program.wait_event("health", "wan0", since=self.program.mark(), count=2)
        return int(line.fields.get(name, 0))

    def check_host(self, source: str) -> None:
        """Every kind of traffic, and its source as the NAT64 sees it."""
        with self.on_the_uplink() as uplink:
            self.host.tcp_echo(self.lab.server_v4)
            self.host.udp_echo(self.lab.server_v4)
            self.host.udp_echo(self.lab.server_v4, size=4000)
            self.assertEqual(self.host.ping(self.lab.server_v4), 3)
        self.assertEqual({each.source for each in uplink.items()}, {source})


class Works(OneToOne):
    def test_a_life(self) -> None:
        before = self.snapshot()
        self.start_mapped()
        self.check_host(self.mapped)
        # The router's own IPv4 has the CLAT's own address.
        with self.on_the_uplink() as uplink:
            self.lab.client(WAN0).tcp_echo(self.lab.server_v4)
        own = self.program.find("clat.up", "wan0")[0]["v6"]
        self.assertEqual({each.source for each in uplink.items()}, {own})
        self.program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_every_length(self) -> None:
        self.start_mapped(v6=EVERY_LENGTH[0])
        for prefix in EVERY_LENGTH:
            with self.subTest(prefix):
                if prefix != EVERY_LENGTH[0]:
                    self.remap(LAN, prefix)
                self.check_host(embedded(prefix, self.lab.lan_host))
        self.assertEqual(self.program.find("part.lost"), [])
        self.program.stop()

    def test_flows_inwards(self) -> None:
        self.start_mapped()
        servers = Servers(self.lab.lan, self.lab.lan_host)
        self.addCleanup(servers.close)
        here = WAN0.embed(self.lab.direct_v4)
        with self.lab.plat.socket(socket.AF_INET6, socket.SOCK_STREAM) as caller:
            caller.settimeout(5 * SLOW)
            caller.bind((here, 0))
            caller.connect((self.mapped, ECHO))
            caller.sendall(b"hello")
            self.assertEqual(caller.recv(100), b"hello")
        with self.lab.plat.socket(socket.AF_INET6, socket.SOCK_DGRAM) as caller:
            caller.settimeout(5 * SLOW)
            caller.bind((here, 0))
            caller.sendto(b"hello", (self.mapped, ECHO))
            self.assertEqual(caller.recvfrom(100)[0], b"hello")
        text = self.lab.plat.run("ping", "-n", "-c3", "-i0.2", "-I", here, self.mapped)
        self.assertIn(" 0% packet loss", text)
        self.program.stop()

    def test_several_ranges(self) -> None:
        """Of one prefix, and of several; the host has an address in each."""
        lab = self.lab
        v4 = [LAN, "10.7.0.0/16", "172.16.7.0/25"]
        v6 = [SOURCE, SOURCE, "2001:db8:c1a0:56::/64"]
        for address in ("10.7.0.1/16", "172.16.7.1/25"):
            lab.router.ip(f"address add {address} dev lan0")
        for address in ("10.7.8.9/16", "172.16.7.99/25"):
            lab.lan.ip(f"address add {address} dev eth0")
        self.start_mapped(v4=v4, v6=v6)
        for each, prefix in zip((lab.lan_host, "10.7.8.9", "172.16.7.99"), v6, strict=True):
            lab.lan.ip(f"route replace default via 192.168.7.1 src {each}")
            self.check_host(embedded(prefix, each))
        self.program.stop()


class Sizes(OneToOne):
    def assert_sender_adapts(self, *, mtu: int, told_by: str) -> None:
        with tap.icmp_messages(self.lab.lan) as errors:
            bulk = Bulk(self.host, self.lab.server_v4, upload=True)
            errors.wait(
                lambda error: (error.source, error.kind, error.code, error.mtu) == (told_by, *FRAGMENTATION_NEEDED, mtu),
                f"Fragmentation Needed for {mtu} bytes from {told_by}",
            )
            bulk.wait_bytes(2 * MEGABYTE)
            bulk.finish()
        self.assertEqual(probe.path_mtu(self.host, self.lab.server_v4), mtu)

    def test_a_narrow_link_behind_the_nat64(self) -> None:
        for namespace in (self.lab.plat, self.lab.server):
            namespace.ip("link set srv0 mtu 1300")
        self.lab.server.ip("route replace default via 192.175.48.1 advmss 1460")
        self.start_mapped()
        self.assert_sender_adapts(mtu=1300, told_by="192.175.48.1")
        self.program.stop()

    def test_a_narrow_ipv6_link(self) -> None:
        for namespace in (self.lab.provider, self.lab.plat):
            namespace.ip("link set core mtu 1400")
        self.start_mapped()
        self.assert_sender_adapts(mtu=1380, told_by=CLAT)
        self.program.stop()

    def test_a_narrow_lan(self) -> None:
        """The router's own Fragmentation Needed quotes what came for the host, and gets back to the server."""
        self.lab.router.ip("link set lan0 mtu 1300")
        self.lab.lan.ip("link set eth0 mtu 1300", "route replace default via 192.168.7.1 advmss 1460")
        self.start_mapped()
        with tap.icmp_messages(self.lab.server) as errors:
            bulk = Bulk(self.host, self.lab.server_v4)
            errors.wait(
                lambda error: (error.kind, error.code, error.mtu) == (*FRAGMENTATION_NEEDED, 1300), "the server is told"
            )
            bulk.wait_bytes(2 * MEGABYTE)
            bulk.finish()
        self.program.stop()

    def test_traceroute_shows_every_hop(self) -> None:
        self.start_mapped()
        for protocol in (socket.IPPROTO_UDP, socket.IPPROTO_ICMP):
            hops = probe.traceroute(self.host, self.lab.server_v4, by=protocol)
            self.assertEqual((hops[0], hops[1], hops[2], hops[-1]), ("192.168.7.1", CLAT, CLAT, self.lab.server_v4))
            self.assertNotIn(None, hops)
        self.program.stop()


class Refused(OneToOne):
    def test_sources_outside(self) -> None:
        lab = self.lab
        stranger = "192.168.8.2"
        lab.router.ip("address add 192.168.8.1/24 dev lan0")
        lab.lan.ip(f"address add {stranger}/24 dev eth0")
        self.start_mapped()
        self.assertEqual(self.counter("slow_drop_not_from_clat"), 0)
        with self.on_the_uplink() as uplink:
            with lab.lan.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((stranger, 0))
                for _ in range(5):
                    sock.sendto(b"who?", (lab.server_v4, SINK))
            self.host.udp_echo(lab.server_v4)
        self.assertEqual({each.source for each in uplink.items()}, {self.mapped})
        self.assertEqual(self.counter("slow_drop_not_from_clat"), 5)
        self.program.stop()

    def test_destinations_outside(self) -> None:
        """Beside the range, and with a suffix: nothing of it comes back to the uplink, or into the LAN."""
        lab = self.lab
        prefix = "2001:db8:c1a0:56::/64"
        self.start_mapped(v6=prefix)
        inside = embedded(prefix, lab.lan_host)
        here = WAN0.embed(lab.direct_v4)
        sent = 20
        with (
            lab.plat.socket(socket.AF_INET6, socket.SOCK_DGRAM) as caller,
            lab.lan.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
            tap.incoming(lab.provider, WAN0.far, tap.ETH_P_IPV6) as uplink,
        ):
            listener.bind(("0.0.0.0", 7777))
            listener.settimeout(5 * SLOW)
            caller.bind((here, 0))
            outside = [embedded(prefix, "192.168.8.2"), str(ipaddress.IPv6Address(inside) + 1)]
            for _ in range(sent):
                for destination in outside:
                    caller.sendto(b"outside", (destination, 7777))
            caller.sendto(b"inside", (inside, 7777))
            self.assertEqual(listener.recv(100), b"inside")
            came = [Ipv6.parse(data).destination for data in uplink.items()]
        self.assertFalse(set(came) & set(outside))
        # Those with a suffix reach clatd on the routed leg alone; all others meet the kernel's route. Besides, the kernel
        # reports its multicast groups on the tun, once or twice.
        dropped = self.counter("slow_drop_not_to_clat")
        expected = 0 if self.fast_path == "required" else sent
        self.assertIn(dropped - expected, range(sent // 2), dropped)
        self.program.stop()

    def test_what_is_on_a_link_is_not_mapped(self) -> None:
        self.lab.router.ip(f"address add {ipaddress.IPv6Network(SOURCE)[1]}/64 dev lan0 nodad")
        self.start_mapped(up=False)
        waiting = self.program.wait_event("clat.waiting", "wan0", reason_code="source-on-link")
        self.assertIn(f"{SOURCE} on lan0", waiting["reason"])
        since = self.program.mark()
        self.lab.router.ip(f"address delete {ipaddress.IPv6Network(SOURCE)[1]}/64 dev lan0")
        self.program.wait_up(since=since)
        self.check_host(self.mapped)
        self.program.stop()


class Masqueraded(OneToOne):
    def test_only_the_others(self) -> None:
        lab = self.lab
        guest = "192.168.8.2"
        lab.router.ip("address add 192.168.8.1/24 dev lan0")
        lab.lan.ip(f"address add {guest}/24 dev eth0")
        self.start_mapped(change=lambda config: config.update(lan={"masquerade": True}))
        own = self.program.find("clat.up", "wan0")[0]["v6"]
        self.check_host(self.mapped)
        lab.lan.ip(f"route replace default via 192.168.7.1 src {guest}")
        self.check_host(own)
        self.program.stop()


class Lives(OneToOne):
    def routes(self) -> list[str]:
        """Ours for what is mapped, without their devices."""
        found = self.lab.router.ip_json("-6", "route", "show", "proto", "46")
        return sorted(route["dst"] for route in found if "/" in route["dst"])

    def test_reload_plans_what_changes(self) -> None:
        self.start_mapped()
        routes = self.routes()
        tun = self.lab.router.ip_json("link", "show", "v4-wan0")[0]["ifindex"]
        stream = UdpStream(self.host, self.lab.direct_v4, 500)
        since = self.program.mark()
        self.remap([LAN, "10.7.0.0/16"], [SOURCE, "2001:db8:c1a0:56::/64"])
        wait_until(lambda: len(self.routes()) == 2 * len(routes), 5 * SLOW, "it has routes")
        self.remap(LAN, SOURCE)
        wait_until(lambda: self.routes() == routes, 5 * SLOW, "they are gone")
        sent, lost = stream.finish()
        if self.fast_path == "required":  # elsewhere clatd is the way
            self.assertEqual(lost, 0, f"of {sent}")
            self.assertEqual(self.program.find("clat.down", since=since), [])
        self.assertEqual(self.lab.router.ip_json("link", "show", "v4-wan0")[0]["ifindex"], tun)
        self.program.stop()

    def test_killed_and_then_mapped_otherwise(self) -> None:
        before = self.snapshot()
        self.start_mapped(v4=[LAN, "10.7.0.0/16"], v6=[SOURCE, "2001:db8:c1a0:56::/64"])
        os.kill(self.program.pid, 9)
        self.program.wait_exit()
        self.config["interfaces"]["wan0"].update({"ipv4-source": LAN, "ipv6-source": SOURCE})
        self.program.write_config(self.config)
        since = self.program.mark()
        self.program.start()
        self.program.wait_up(since=since)
        self.assertFalse([route for route in self.routes() if route.startswith("2001:db8:c1a0:")])
        self.check_host(self.mapped)
        self.program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_a_route_that_somebody_removes_is_back(self) -> None:
        self.start_mapped(change=lambda config: config.update({"audit-interval": "200ms"}))
        routes = self.routes()
        self.lab.router.run("ip", "-6", "route", "flush", "root", SOURCE)
        self.assertEqual(self.routes(), [])
        wait_until(lambda: self.routes() == routes, 5 * SLOW, "they are back")
        self.check_host(self.mapped)
        self.program.stop()


class Killed(OneToOne):
    """With the fast path: elsewhere nothing goes on without clatd."""

    fast_paths = ("required",)

    def test_killed_under_load(self) -> None:
        before = self.snapshot()
        self.start_mapped()
        stream = UdpStream(self.host, self.lab.direct_v4, 500)
        download = Bulk(self.host, self.lab.server_v4)
        download.wait_bytes(2 * MEGABYTE)
        os.kill(self.program.wait_clatd("wan0"), 9)
        self.program.wait_event("clat.ready", "wan0", count=2)
        download.wait_bytes(2 * MEGABYTE)
        os.kill(self.program.pid, 9)
        self.program.wait_exit()
        download.wait_bytes(2 * MEGABYTE)
        since = self.program.mark()
        self.program.start()
        self.program.wait_up(since=since)
        self.assertEqual(len(self.program.find("supervisor.adopted", since=since)), 1)
        download.wait_bytes(2 * MEGABYTE)
        self.assertLess(download.finish(), 1 * SLOW)
        sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        self.check_host(self.mapped)
        self.program.stop()
        self.assert_unchanged(before, "after a stop")
