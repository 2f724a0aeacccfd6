"""NAT64 prefixes that routers advertise (RFC 8781), or that DNS64 gives away (RFC 7050)."""

from __future__ import annotations

import statistics
import time

from harness.advertiser import Advertiser, mtu, pref64, rdnss
from harness.case import LabTest, every_interface, rounds
from harness.clatvisor import SLOW, Clatvisor
from harness.dns64 import Dns64
from harness.lab import WAN0, WWAN0, wait_until
from harness.traffic import Servers

OTHER = "2001:db8:65::/96"


def discovered(config: dict) -> None:
    for interface in config["interfaces"].values():
        del interface["nat64-prefix"]


class Discovery(LabTest):
    nat64 = False

    def setUp(self) -> None:
        super().setUp()
        self.routers = {}
        for number, uplink in enumerate(self.uplinks, 1):
            router = Advertiser(self.lab.plat, uplink.far, mac=f"02:00:00:00:ff:{number:02x}")
            self.addCleanup(router.close)
            self.routers[uplink.name] = router

    def start_listening(self, change=discovered) -> Clatvisor:
        program = self.start(up=False, change=change)
        for router in self.routers.values():
            router.wait_solicitation()
        return program

    def works(self, uplink=WAN0) -> bool:
        return self.lab.client(uplink).udp_works(self.lab.direct_v4)

    def serve_other(self) -> None:
        """The direct server behind the other prefix, too."""
        address = "2001:db8:65::c0af:304d"
        self.lab.plat.ip(f"address replace {address}/128 dev lo nodad")
        self.addCleanup(Servers(self.lab.plat, address).close)


class OneUplink(Discovery):
    uplinks = (WAN0,)

    def test_asks_and_hears(self) -> None:
        program = self.start_listening()
        router = self.routers["wan0"]
        router.advertise(WAN0.prefix)
        found = program.wait_event("prefix.found", "wan0")
        self.assertEqual((found["prefix"], found["source"], found["router"]), (WAN0.prefix, "ra", "fe80::1"))
        program.wait_event("clat.up", "wan0")
        self.lab.client(WAN0).tcp_echo(self.lab.direct_v4)
        program.stop()

    def test_hears_what_the_kernel_ignores(self) -> None:
        """accept_ra is 0 in the lab; and here the router forwards, and its firewall drops all input."""
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.lab.router.run("nft", "-f", "-", input="table ip6 t { chain i { type filter hook input priority 0; policy drop; }; }")
        program = self.start_listening()
        self.routers["wan0"].advertise(WAN0.prefix)
        program.wait_event("clat.up", "wan0")
        program.stop()

    def test_withdrawn_and_back(self) -> None:
        program = self.start_listening()
        router = self.routers["wan0"]
        router.advertise(WAN0.prefix)
        program.wait_event("clat.up", "wan0")
        router.advertise(WAN0.prefix, lifetime=0)
        self.assertEqual(program.wait_event("prefix.lost", "wan0")["reason"], "withdrawn")
        self.assertEqual(program.wait_event("clat.down", "wan0")["reason_code"], "no-prefix")
        since = program.mark()
        router.advertise(WAN0.prefix)
        program.wait_event("clat.up", "wan0", since=since)
        wait_until(self.works, 2 * SLOW, "IPv4 is back")
        program.stop()

    def test_expires(self) -> None:
        program = self.start_listening()
        self.routers["wan0"].advertise(WAN0.prefix, lifetime=8)
        begin = program.wait_event("clat.up", "wan0").at
        lost = program.wait_event("prefix.lost", "wan0", timeout=12)
        self.assertEqual(lost["reason"], "its lifetime ended")
        self.assertAlmostEqual(lost.at - begin, 8, delta=1 * SLOW)
        program.stop()

    def test_switches_in_place(self) -> None:
        self.serve_other()
        program = self.start_listening()
        router = self.routers["wan0"]
        router.advertise(WAN0.prefix)
        program.wait_event("clat.up", "wan0")
        tun = self.lab.router.link_index("v4-wan0")
        since = program.mark()
        router.send(pref64(WAN0.prefix, 0), pref64(OTHER, 1800))
        self.assertEqual(program.wait_event("prefix.found", "wan0", since=since)["prefix"], OTHER)
        program.wait_event("clat.up", "wan0", since=since, timeout=1 * SLOW)
        wait_until(self.works, 1 * SLOW, "IPv4 goes by the other prefix")
        self.assertEqual(self.lab.router.link_index("v4-wan0"), tun)
        self.assertEqual(len(program.find("prefix.found", "wan0")), 2)
        program.stop()

    def test_kill_and_start_again(self) -> None:
        program = self.start_listening()
        self.routers["wan0"].advertise(WAN0.prefix)
        v6 = program.wait_event("clat.up", "wan0")["v6"]
        program.kill()
        self.assertTrue(self.works(), "the fast path goes on alone")
        since = program.mark()
        program.start()
        self.assertEqual(program.wait_event("prefix.found", "wan0", since=since)["source"], "record")
        up = program.wait_event("clat.up", "wan0", since=since)
        self.assertEqual(up["v6"], v6)
        self.assertEqual(len(program.find("supervisor.adopted", "wan0")), 1)
        program.stop()

    def test_from_a_literal_to_the_same_one_discovered(self) -> None:
        program = self.start()
        child = program.wait_clatd("wan0")
        config = program.default_config()
        discovered(config)
        since = program.mark()
        program.reload(config)
        self.routers["wan0"].advertise(WAN0.prefix)
        time.sleep(0.2)
        self.assertEqual(program.wait_clatd("wan0"), child)
        self.assertEqual(program.find("clat.down", "wan0"), [])
        self.assertEqual(program.find("prefix.lost", "wan0"), [])
        self.assertGreaterEqual(program.mark(), since)
        program.stop()

    def test_hostile_advertisements(self) -> None:
        program = self.start_listening()
        router = self.routers["wan0"]
        good = router.message(pref64(OTHER, 1800))
        router.send(pref64(OTHER, 1800), hop_limit=254)
        router.send(pref64(OTHER, 1800), source="2001:db8::1")
        router.send(pref64(OTHER, 1800, code=6), pref64(OTHER, 1800, code=7))
        router.send(pref64(OTHER, 1800), b"\x01\x00" + bytes(6))
        router.send(pref64(OTHER, 1800)[:14])
        router.send_packet(good[:-3] + b"xyz")
        for size in range(1, len(good)):
            router.send_packet(good[:size])
        router.advertise(WAN0.prefix)
        program.wait_event("clat.up", "wan0")
        self.assertEqual([event["prefix"] for event in program.find("prefix.found")], [WAN0.prefix])
        program.stop()

    def test_a_storm(self) -> None:
        program = self.start_listening()
        router = self.routers["wan0"]
        router.advertise(WAN0.prefix)
        program.wait_event("clat.up", "wan0")
        for number in range(10_000):
            router.advertise(f"2001:db8:{number % 400 + 1:x}::/96")
        self.assertTrue(self.works())
        self.assertEqual(len(program.find("prefix.found")), 1)
        self.assertLessEqual(len(program.find("prefix.ignored")), 1)
        self.assertEqual(program.find("clat.down"), [])
        program.stop()

    def test_soon_after_the_advertisement(self) -> None:
        times = []
        for _ in range(rounds(20, "starts with a prefix to discover")):
            program = self.start_listening()
            time.sleep(0.25 * SLOW)  # a router waits up to half a second (RFC 4861, MAX_RA_DELAY_TIME)
            begin = time.monotonic()
            self.routers["wan0"].advertise(WAN0.prefix)
            times.append(program.wait_event("clat.up", "wan0").at - begin)
            program.stop()
        print(f"rounds: clat.up after the advertisement: median {1000 * statistics.median(times):.0f} ms, worst {1000 * max(times):.0f} ms")
        self.assertLess(statistics.median(times), 0.15 * SLOW)


class TwoUplinks(Discovery):
    def test_are_independent(self) -> None:
        program = self.start_listening()
        self.routers["wan0"].advertise(WAN0.prefix)
        program.wait_event("clat.up", "wan0")
        self.assertEqual(program.find("clat.up", "wwan0"), [])
        self.routers["wwan0"].advertise(WWAN0.prefix)
        program.wait_event("clat.up", "wwan0")
        self.routers["wan0"].advertise(WAN0.prefix, lifetime=0)
        program.wait_event("clat.down", "wan0")
        self.assertEqual(program.find("clat.down", "wwan0"), [])
        wait_until(lambda: self.works(WWAN0), 2 * SLOW, "the other uplink works")
        program.stop()

    def test_two_routers_on_one(self) -> None:
        second = Advertiser(self.lab.plat, WAN0.far, router="fe80::2", mac="02:00:00:00:ff:22")
        self.addCleanup(second.close)
        program = self.start_listening()
        self.routers["wan0"].advertise(WAN0.prefix)
        program.wait_event("clat.up", "wan0")
        second.advertise(OTHER)
        second.advertise(WAN0.prefix)
        self.routers["wan0"].advertise(WAN0.prefix, lifetime=0)
        self.assertTrue(self.works())
        self.assertEqual(len(program.find("prefix.found", "wan0")), 1)
        program.stop()

    def test_only_those_that_are_listed(self) -> None:
        program = self.start_listening(every_interface(nat64_prefix="{auto: true, only: [64:ff9b::/96]}"))
        self.routers["wan0"].advertise(OTHER)
        self.routers["wan0"].advertise("64:ff9b::/96")
        self.assertEqual(program.wait_event("prefix.found", "wan0")["prefix"], "64:ff9b::/96")
        program.stop()


class ByDns(Discovery):
    """The uplinks' resolvers; their routers say nothing of a prefix."""

    def start_with(self, *servers: str, change=discovered) -> Clatvisor:
        def with_servers(config: dict) -> None:
            change(config)
            config["dns"] = {"servers": "[" + ", ".join(f'"{server}"' for server in servers) + "]"}

        return self.start(up=False, change=with_servers)

    def resolver(self, address: str, prefix: str | None, ttl: int = 600) -> Dns64:
        resolver = Dns64(self.lab.plat, address, prefix, ttl)
        self.addCleanup(resolver.close)
        return resolver

    def anycast(self) -> str:
        """One address behind both uplinks, as a provider's resolvers are."""
        self.lab.plat.ip("address add 2001:db8:53::53/128 dev lo nodad")
        return "2001:db8:53::53"

    def test_each_uplink_asks_from_its_own_address(self) -> None:
        resolver = self.resolver(self.anycast(), WAN0.prefix)
        program = self.start_with("2001:db8:53::53")
        for uplink in self.uplinks:
            found = program.wait_event("prefix.found", uplink.name)
            self.assertEqual((found["prefix"], found["source"]), (WAN0.prefix, "dns"))
            program.wait_event("clat.up", uplink.name)
        self.assertEqual(set(resolver.asked), {WAN0.router, WWAN0.router})
        self.lab.client(WAN0).tcp_echo(self.lab.direct_v4)
        program.stop()

    def test_that_routers_advertise_is_asked(self) -> None:
        resolver = self.resolver(self.anycast(), WAN0.prefix)
        program = self.start(up=False, change=discovered)
        router = self.routers["wan0"]
        router.wait_solicitation()
        router.send(rdnss(600, "2001:db8:53::53"), mtu(1400))
        found = program.wait_event("prefix.found", "wan0")
        self.assertEqual((found["prefix"], found["source"]), (WAN0.prefix, "dns"))
        self.assertEqual(program.wait_event("clat.up", "wan0")["mtu"], "1372")
        self.assertEqual(set(resolver.asked), {WAN0.router}, "the other uplink was not told of it")
        self.lab.client(WAN0).tcp_echo(self.lab.direct_v4)
        since = program.mark()
        router.send(mtu(1300))
        wait_until(lambda: self.lab.router.ip_json("link", "show", "v4-wan0")[0]["mtu"] == 1272, 5 * SLOW, "the MTU follows")
        self.lab.client(WAN0).tcp_echo(self.lab.direct_v4)
        self.assertEqual(program.find("clat.down", since=since), [])
        program.stop()

    def test_a_router_goes_before_it(self) -> None:
        self.serve_other()
        self.resolver(self.anycast(), OTHER)
        program = self.start_with("2001:db8:53::53")
        program.wait_event("clat.up", "wan0")
        since = program.mark()
        self.routers["wan0"].advertise(WAN0.prefix)
        self.assertEqual(program.wait_event("prefix.found", "wan0", since=since)["source"], "ra")
        since = program.mark()
        self.routers["wan0"].advertise(WAN0.prefix, lifetime=0)
        found = program.wait_event("prefix.found", "wan0", since=since)
        self.assertEqual((found["prefix"], found["source"]), (OTHER, "dns"))
        program.wait_event("clat.up", "wan0", since=since)
        wait_until(self.works, 2 * SLOW, "IPv4 goes by the DNS's prefix")
        program.stop()

    def test_that_knows_none_is_asked_again(self) -> None:
        resolver = self.resolver(self.anycast(), None)
        program = self.start_with("2001:db8:53::53")
        self.assertEqual(program.wait_event("prefix.unknown", "wan0")["source"], "dns")
        resolver.prefix = WAN0.prefix
        program.wait_event("prefix.found", "wan0", timeout=10)
        program.wait_event("clat.up", "wan0")
        program.stop()

    def test_that_is_silent_takes_nothing_back(self) -> None:
        resolver = self.resolver(self.anycast(), WAN0.prefix, ttl=1)
        program = self.start_with("2001:db8:53::53")
        program.wait_event("clat.up", "wan0")
        resolver.silent = True
        # A time to live of 1 s is taken as 30: the next question is due after 20.
        asked = len(resolver.asked)
        wait_until(lambda: len(resolver.asked) > asked, 30, "it is asked again")
        program.wait_event("prefix.unknown", "wan0", timeout=40)
        self.assertEqual(program.find("clat.down"), [])
        self.assertTrue(self.works())
        program.stop()
