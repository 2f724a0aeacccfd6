"""A foreign hand at what clatvisor made, other than the fast path: it is mended, and nothing else is touched."""

from __future__ import annotations

import time

from harness.case import LabTest, every_interface
from harness.clatvisor import SLOW
from harness.lab import WAN0, wait_until

TUN = WAN0.tun


class Tun(LabTest):
    uplinks = (WAN0,)

    def settings(self) -> dict[str, object]:
        link = self.lab.router.ip_json("-d", "link", "show", TUN)[0]
        sysctls = ("net/ipv4/conf/{}/rp_filter", "net/ipv6/conf/{}/disable_ipv6", "net/ipv6/conf/{}/addr_gen_mode")
        return {name: self.lab.router.sysctl(name.format(TUN)) for name in sysctls} | {
            key: link.get(key) for key in ("mtu", "ifalias", "flags", "gso_max_size", "gro_max_size")
        }

    def test_each_setting_is_mended(self) -> None:
        program = self.start(change=lambda config: config.update({"audit-interval": "50ms"}))
        router, client = self.lab.router, self.lab.client(WAN0)
        before, clatd = self.settings(), program.wait_clatd("wan0")
        for what, damage in {
            "rp_filter": lambda: router.sysctl(f"net/ipv4/conf/{TUN}/rp_filter", 1),
            "disable_ipv6": lambda: router.sysctl(f"net/ipv6/conf/{TUN}/disable_ipv6", 1),
            "addr_gen_mode": lambda: router.ip(f"link set {TUN} addrgenmode eui64"),
            "alias": lambda: router.ip(f"link set {TUN} alias mine"),
            "MTU": lambda: router.ip(f"link set {TUN} mtu 1300"),
            "down": lambda: router.ip(f"link set {TUN} down"),
            "packets of": lambda: router.ip(f"link set {TUN} gro_max_size 131072"),
        }.items():
            with self.subTest(what):
                since = program.mark()
                damage()
                wait_until(lambda: self.settings() == before, 5, f"{what} is mended")
                if what != "down":  # that is told by netlink
                    lost = program.wait_event("part.lost", "wan0", since=since, part="setup")
                    self.assertIn(what, lost["reason"])
                wait_until(lambda: router.ip_json("route", "show", "default", "dev", TUN), 5, "the default route")
                client.udp_echo(self.lab.server_v4)
        self.assertEqual(program.wait_clatd("wan0"), clatd)
        program.stop()

    def test_a_strict_host_with_another_default_route(self) -> None:
        """Strict, the tun would drop what comes back by it."""
        router = self.lab.router
        router.ip(
            "link add other0 type veth peer name other1",
            "link set other0 up",
            "link set other1 up",
            "address add 192.168.9.1/24 dev other0",
            "route add default via 192.168.9.2",
        )
        router.sysctl("net/ipv4/conf/all/rp_filter", 1)
        program = self.start(change=lambda config: config.update({"audit-interval": "50ms"}))
        router.sysctl(f"net/ipv4/conf/{TUN}/rp_filter", 1)
        wait_until(lambda: router.sysctl(f"net/ipv4/conf/{TUN}/rp_filter") == "2", 5, "it is mended")
        self.assertEqual(self.lab.client(WAN0).ping(self.lab.server_v4), 3)
        program.stop()


class DefaultRoute(LabTest):
    uplinks = (WAN0,)

    def test_is_put_back_within_100_ms(self) -> None:
        def change(config: dict) -> None:
            every_interface(when="always")(config)  # another's default route by the uplink is IPv4 of its own
            config["audit-interval"] = "1h"

        program = self.start(change=change)
        router = self.lab.router
        ours = lambda: router.ip_json("route", "show", "default", "proto", "46")  # noqa: E731
        before = ours()
        router.ip("address add 192.168.9.1/24 dev wan0")

        def put_back(hand: str) -> None:
            at = time.monotonic()
            router.ip(hand)
            wait_until(lambda: ours() == before, 5, "it is put back", every=0.002)
            self.assertLess(time.monotonic() - at, 0.1 * SLOW)

        put_back("route del default metric 2048")
        # Another in its place is left alone while it is there.
        router.ip("route replace default via 192.168.9.2 metric 2048")
        program.wait_event("route.taken", "wan0")
        put_back("route del default metric 2048")
        program.wait_event("route.restored", "wan0")
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()


class Host(LabTest):
    """Settings of the host that the routed leg has to live with."""

    uplinks = (WAN0,)

    def test_forwarding_by_another_value(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 2)

        def change(config: dict) -> None:
            every_interface(fast_path="off")(config)
            config["audit-interval"] = "50ms"

        program = self.start(change=change)
        self.lab.router.ip(f"link set {TUN} alias mine")
        program.wait_event("part.lost", "wan0", part="setup")  # so there was an audit
        self.assertEqual(program.find("part.lost", part="announce"), [], program.tail())
        reasons = {event["reason"] for event in program.find("clat.down")}
        self.assertLessEqual(reasons, {"setup is made again"}, program.tail())  # that of the alias, and no other
        program.stop()

    def test_new_interfaces_without_ipv6(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.lab.router.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        program = self.start(change=every_interface(fast_path="off"))
        self.assertEqual(self.lab.client(WAN0).ping(self.lab.server_v4), 3)
        program.stop()
