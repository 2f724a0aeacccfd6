"""Two routers on one uplink, both by router advertisements; the one in use dies without a word."""

from __future__ import annotations

import time

from harness.advertiser import Advertiser
from harness.case import LabTest
from harness.clatvisor import SLOW, Clatvisor
from harness.lab import WAN0, wait_until
from harness.namespace import Namespace


class TwoRouters(LabTest):
    uplinks = (WAN0,)
    nat64 = False
    prefix_routes = False
    # RFC 4861's 30 s of REACHABLE and 5 s of DELAY, shortened.
    timers = {"base_reachable_time_ms": 600, "delay_first_probe_time": 1, "retrans_time_ms": 300}

    def setUp(self) -> None:
        super().setUp()
        router = self.lab.router
        for key, value in self.timers.items():
            router.sysctl(f"net/ipv6/neigh/wan0/{key}", value)
        router.ip(f"route del default via {WAN0.gateway} dev {WAN0.name}")
        self.routers = {f"fe80::{number}": self.lab.add_router(WAN0, number) for number in (1, 2)}

    def start_with_routers(self, *, forwarding: bool) -> Clatvisor:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", int(forwarding))
        self.lab.router.sysctl("net/ipv6/conf/wan0/accept_ra", 2)
        for address, namespace in self.routers.items():
            mac = namespace.ip_json("link", "show", "wan")[0]["address"]
            advertiser = Advertiser(namespace, "wan", router=address, mac=mac)
            self.addCleanup(advertiser.close)
            advertiser.send()
            wait_until(lambda a=address: a in self.lab.router.run("ip", "-6", "route"), 5 * SLOW, "the kernel knows the router")
        program = self.start()
        wait_until(lambda: self.clat_works() and self.native_works(), 5 * SLOW, "all works")
        return program

    def clat_works(self) -> bool:
        return self.lab.client(WAN0).udp_works(self.lab.direct_v4)

    def native_works(self) -> bool:
        """IPv6 of the host's own to the NAT64's address."""
        target = WAN0.embed(self.lab.direct_v4)
        return bool(self.lab.router.run("ping", "-6", "-c1", "-W1", "-i0.2", "-I", WAN0.router, target, check=False).count("1 received"))

    def used(self) -> str:
        """The router that the kernel names."""
        return self.lab.router.ip_json("-6", "route", "get", WAN0.embed(self.lab.direct_v4), "oif", "wan0")[0]["gateway"]

    def kill(self, address: str) -> Namespace:
        namespace = self.routers[address]
        namespace.run("nft", "-f", "-", input="table netdev t { chain c { type filter hook ingress device wan priority -500; policy drop; }; }")
        return namespace

    def test_that_does_not_forward(self) -> None:
        program = self.start_with_routers(forwarding=False)
        first = self.used()
        begin = time.monotonic()
        self.kill(first)
        native = wait_until(lambda: self.native_works() and time.monotonic() - begin, 20 * SLOW, "native IPv6 is back")
        wait_until(self.clat_works, 2 * SLOW, "so is the CLAT")
        clat = time.monotonic() - begin
        print(f"native IPv6 is back after {native:.1f} s, the CLAT after {clat:.1f} s")
        program.stop()

    def test_that_forwards(self) -> None:
        """The kernel's own look-up keeps to the dead one for ever."""
        program = self.start_with_routers(forwarding=True)
        first = self.used()
        (other,) = set(self.routers) - {first}
        begin = time.monotonic()
        dead = self.kill(first)
        wait_until(self.clat_works, 20 * SLOW, "IPv4 is back")
        print(f"the CLAT is back after {time.monotonic() - begin:.1f} s")
        failed = program.wait_event("nexthop.failed", "wan0")
        self.assertEqual((failed["router"], failed["via"]), (first, other))
        self.assertFalse(self.native_works())
        self.assertEqual(program.find("clat.down"), [])

        dead.run("nft", "delete", "table", "netdev", "t")
        self.assertEqual(program.wait_event("nexthop.restored", "wan0", timeout=20)["router"], first)
        self.kill(other)
        wait_until(self.clat_works, 1 * SLOW, "the first one is in use again")
        self.assertEqual(len(program.find("nexthop.failed")), 1)
        program.stop()

    def test_without_another_it_is_only_said(self) -> None:
        program = self.start_with_routers(forwarding=True)
        first = self.used()
        (other,) = set(self.routers) - {first}
        self.lab.router.ip(f"route del default via {other} dev wan0 proto ra")
        dead = self.kill(first)
        wait_until(lambda: self.clat_works() or program.find("nexthop.failed"), 20 * SLOW, "it is told")
        failed = program.wait_event("nexthop.failed", "wan0")
        self.assertEqual(failed["router"], first)
        self.assertNotIn("via", failed.fields)
        dead.run("nft", "delete", "table", "netdev", "t")
        wait_until(self.clat_works, 5 * SLOW, "it answers again")
        program.wait_event("nexthop.restored", "wan0")
        program.stop()
