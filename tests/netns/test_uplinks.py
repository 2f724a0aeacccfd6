"""Uplinks as people have them: routes that netifd and policy routing make, delegated prefixes, providers that renumber."""

from __future__ import annotations

from harness.case import LabTest, every_interface
from harness.clatvisor import SLOW
from harness.lab import WAN0, WWAN0, Uplink, wait_until
from harness.namespace import Namespace

LONG = Uplink("wwp0s20f0u3i12", "2001:db8:64::/96", "2001:db8:2::", "192.0.2.128/25", 1024, "02:00:00:00:02:02")


def ip6(namespace: Namespace, *lines: str) -> None:
    for line in lines:
        namespace.run("ip", "-6", *line.split())


def link_local(namespace: Namespace, link: str) -> str:
    def found() -> str | None:
        addresses = namespace.ip_json("-6", "address", "show", "dev", link, "scope", "link", "-tentative")
        return next((each["local"] for one in addresses for each in one.get("addr_info", ()) if "local" in each), None)

    return wait_until(found, 5, f"a link-local address on {link}")


class UplinkTest(LabTest):
    uplinks: tuple[Uplink, ...] = (WAN0, WWAN0)
    nat64 = False
    prefix_routes = False

    def works(self, uplink: Uplink = WAN0) -> bool:
        return self.lab.client(uplink).udp_works(self.lab.direct_v4)

    def assert_all_work(self) -> None:
        for uplink in self.uplinks:
            self.lab.client(uplink).tcp_echo(self.lab.direct_v4)
            self.lab.client(uplink).udp_echo(self.lab.direct_v4)
            self.assertEqual(self.lab.client(uplink).ping(self.lab.direct_v4), 3)

    def clat_v6(self, uplink: Uplink = WAN0) -> str:
        return self.program.find("clat.up", uplink.name)[-1]["v6"]

    def gone_defaults(self) -> None:
        for uplink in self.uplinks:
            ip6(self.lab.router, f"route del default dev {uplink.name}")

    def on_both_legs(self, check=None) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        for mode in ("auto", "off"):
            with self.subTest(fast_path=mode):
                program = self.start(change=every_interface(fast_path=mode))
                (check or self.assert_all_work)()
                program.stop()


class Routes(UplinkTest):
    def test_of_openwrt_are_for_sources_only(self) -> None:
        """netifd: "default from 2001:db8:1::/64 via … proto static metric 512", and none for everybody."""
        self.gone_defaults()
        for uplink in self.uplinks:
            ip6(self.lab.router, 
                f"route add default from {uplink.net}/64 via {uplink.gateway} dev {uplink.name} metric {uplink.metric}",
                f"route add unreachable {uplink.net}/48 dev lo metric 2147483647",
            )
        self.on_both_legs()

    def test_of_policy_routing_are_in_tables_of_their_own(self) -> None:
        self.gone_defaults()
        for table, uplink in enumerate(self.uplinks, 100):
            ip6(self.lab.router, 
                f"route add default via {uplink.gateway} dev {uplink.name} table {table}",
                f"rule add from {uplink.net}/64 lookup {table}",
            )
        self.on_both_legs()

    def test_a_rule_for_the_hosts_own_address_serves_the_fast_path(self) -> None:
        self.gone_defaults()
        for table, uplink in enumerate(self.uplinks, 100):
            ip6(self.lab.router, 
                f"route add default via {uplink.gateway} dev {uplink.name} table {table}",
                f"rule add from {uplink.router} lookup {table}",
            )
        program = self.start()
        self.assert_all_work()
        program.stop()

    def test_a_rule_for_the_mark(self) -> None:
        self.gone_defaults()
        for table, uplink in enumerate(self.uplinks, 100):
            ip6(self.lab.router, 
                f"route add default via {uplink.gateway} dev {uplink.name} table {table}",
                f"rule add fwmark {table} lookup {table}",
            )

        def marks(config: dict) -> None:
            for table, uplink in enumerate(self.uplinks, 100):
                config["interfaces"][uplink.name]["mark"] = table

        program = self.start(change=marks)
        self.assert_all_work()
        program.stop()

    def test_by_the_other_uplink_are_none(self) -> None:
        """Two plain defaults: that of the best metric answers for any source."""
        ip6(self.lab.router, "route del default dev wwan0")
        program = self.start(up=False)
        program.wait_up("wan0")
        waiting = program.wait_event("clat.waiting", "wwan0")
        self.assertEqual(waiting["reason_code"], "no-route")
        self.assertEqual(program.find("clat.up", "wwan0"), [])
        program.stop()


class Addresses(UplinkTest):
    uplinks = (WAN0,)
    delegated = "2001:db8:1:c1a7:"

    def link_local_only(self) -> None:
        router, gateway = link_local(self.lab.router, "wan0"), link_local(self.lab.provider, WAN0.far)
        self.lab.remove_address(WAN0)
        ip6(self.lab.router, "route flush default", f"route add default via {gateway} dev wan0")
        ip6(self.lab.provider, f"route add {self.delegated}:/64 via {router} dev {WAN0.far}")

    def test_only_link_local_with_a_delegated_prefix(self) -> None:
        self.link_local_only()
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        for keys in ({"ipv6-source": f"{self.delegated}:/64"}, {"ipv6-address": f"{self.delegated}:1234"}):
            for mode in ("auto", "off"):
                with self.subTest(**keys, mode=mode):
                    program = self.start(change=every_interface(**keys, fast_path=mode))
                    self.assertTrue(self.clat_v6().startswith(self.delegated))
                    self.assert_all_work()
                    program.stop()

    def test_only_link_local_waits_and_says_what_helps(self) -> None:
        self.link_local_only()
        program = self.start(up=False)
        waiting = program.wait_event("clat.waiting", "wan0")
        self.assertEqual(waiting["reason_code"], "no-address")
        self.assertIn("ipv6-source", waiting["next"])
        program.stop()

    def test_a_free_subnet_of_what_the_lan_has(self) -> None:
        self.link_local_only()
        self.lab.router.ip("link add br-lan type bridge", "link set br-lan up")
        program = self.start(up=False, change=every_interface(ipv6_source="{from: br-lan}"))
        waiting = program.wait_event("clat.waiting", "wan0")
        self.assertEqual(waiting["reason_code"], "no-delegated-prefix")
        self.lab.router.ip("address add 2001:db8:1:c1a0::1/60 dev br-lan nodad")
        up = program.wait_event("clat.up", "wan0")
        self.assertTrue(up["v6"].startswith("2001:db8:1:c1af:"), up["v6"])
        program.stop()

    def renumber(self) -> None:
        """RFC 9096: the old prefix is deprecated, the new one preferred, both still on the link."""
        self.lab.provider.ip(f"address add 2001:db8:11::1/64 dev {WAN0.far} nodad")
        self.lab.router.ip(
            f"address change {WAN0.router}/64 dev wan0 valid_lft 7200 preferred_lft 0",
            "address add 2001:db8:11::2/64 dev wan0 nodad",
        )

    def test_a_provider_that_renumbers(self) -> None:
        program = self.start()
        old = self.clat_v6()
        since = program.mark()
        self.renumber()
        chosen = program.wait_event("address.chosen", "wan0", since=since)
        self.assertTrue(chosen["v6"].startswith("2001:db8:11:"), chosen["v6"])
        wait_until(self.works, 1 * SLOW, "IPv4 goes by the new prefix")
        blackholes = self.lab.router.run("ip", "-6", "route", "show", "type", "blackhole")
        self.assertIn(old, blackholes)
        program.stop()

    def test_a_unique_local_address_that_came_first(self) -> None:
        self.lab.remove_address(WAN0)
        ip6(self.lab.router, "address add fd00:1::2/64 dev wan0 nodad", "route replace default via fe80::1 dev wan0")
        program = self.start()
        self.assertTrue(self.clat_v6().startswith("fd00:1:"))
        self.lab.add_address(WAN0)
        wait_until(self.works, 3 * SLOW, "IPv4 goes by the global prefix")
        program.stop()

    def test_a_subnet_longer_than_64(self) -> None:
        self.lab.provider.ip(f"address del {WAN0.gateway}/64 dev {WAN0.far}", f"address add 2001:db8:1::aa:1/112 dev {WAN0.far} nodad")
        self.lab.remove_address(WAN0)
        ip6(self.lab.router, 
            "address add 2001:db8:1::aa:2/112 dev wan0 nodad", "route flush default", "route add default via 2001:db8:1::aa:1 dev wan0"
        )
        program = self.start()
        self.assertTrue(self.clat_v6().startswith("2001:db8:1::aa:"))
        self.assert_all_work()
        program.stop()

    def test_a_point_to_point_subnet_has_no_room(self) -> None:
        for length in (127, 128):
            with self.subTest(length=length):
                self.lab.remove_address(WAN0)
                ip6(self.lab.router, f"address add {WAN0.router}/{length} dev wan0 nodad", "route replace default via fe80::1 dev wan0")
                program = self.start(up=False)
                waiting = program.wait_event("clat.waiting", "wan0")
                self.assertEqual(waiting["reason_code"], "subnet-too-small")
                self.assertEqual(program.find("clat.up"), [])
                program.stop()
                self.lab.router.ip(f"address del {WAN0.router}/{length} dev wan0")
                self.lab.add_address(WAN0)


class DefaultRoute(UplinkTest):
    uplinks = (WAN0,)

    def test_of_others_with_our_metric(self) -> None:
        self.lab.router.ip("link add other type veth peer name other-far", "link set other up", "link set other-far up",
                           "address add 198.51.100.1/24 dev other", "route add default via 198.51.100.2 dev other metric 2048")  # fmt: skip
        program = self.start()
        self.assertEqual(program.wait_event("route.taken", "wan0")["metric"], "2048")
        self.assert_all_work()
        self.lab.router.ip("route del default dev other metric 2048")
        program.wait_event("route.restored", "wan0")
        self.assertIn("v4-wan0", self.lab.router.run("ip", "-4", "route", "show", "default"))
        program.stop()


class NativeIpv4(UplinkTest):
    uplinks = (WAN0,)

    def dhcp(self) -> None:
        self.lab.router.ip("address add 198.51.100.2/24 dev wan0", "route add default via 198.51.100.1 dev wan0 metric 700")

    def no_dhcp(self) -> None:
        self.lab.router.ip("address del 198.51.100.2/24 dev wan0")

    def test_holds_the_clat_down_while_it_is_there(self) -> None:
        self.dhcp()
        program = self.start(up=False)
        waiting = program.wait_event("clat.waiting", "wan0")
        self.assertEqual(waiting["reason_code"], "native-ipv4")
        self.assertIn("when: always", waiting["next"])
        self.no_dhcp()
        program.wait_event("clat.up", "wan0")
        self.assert_all_work()
        since = program.mark()
        self.dhcp()
        self.assertEqual(program.wait_event("clat.down", "wan0", since=since)["reason_code"], "native-ipv4")
        wait_until(lambda: self.lab.router.link_index(WAN0.tun) is None, 5, "the tun goes")
        program.stop()

    def test_always(self) -> None:
        self.dhcp()
        program = self.start(change=every_interface(when="always"))
        self.assert_all_work()
        program.stop()

    def test_on_other_links_does_not_count(self) -> None:
        """docker0, a LAN, a VPN."""
        self.lab.router.ip("link add br-lan type bridge", "link set br-lan up", "address add 192.168.1.1/24 dev br-lan",
                           "route add default via 192.168.1.254 dev br-lan metric 50")  # fmt: skip
        program = self.start()
        self.assert_all_work()
        program.stop()


class Names(UplinkTest):
    uplinks = (LONG,)

    def test_of_fourteen_characters(self) -> None:
        before = self.snapshot()
        program = self.start()
        self.assertEqual(LONG.tun, "v4-p0s20f0u3i12")
        self.assert_all_work()
        program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_a_tun_name_of_ones_own(self) -> None:
        before = self.snapshot()
        program = self.start(change=every_interface(tun="clat"))
        self.assertTrue(self.lab.router.ip_json("link", "show", "clat"))
        program.stop()
        self.assert_unchanged(before, "after a stop")
