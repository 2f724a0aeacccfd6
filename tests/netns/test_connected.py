"""A neighbour on the uplink sends as anybody behind the NAT64: not as a host that the router reaches by itself."""

from __future__ import annotations

import socket

from harness import packet
from harness.case import WITHOUT_BPF, BothPaths
from harness.clatvisor import SLOW
from harness.lab import WWAN0, wait_until
from harness.packet import UDP, Ipv6
from harness.tap import ETH_P_IPV6

PORT = 7777
OUTSIDE = "203.0.113.9"


class Connected(BothPaths):
    """By each of the means that confine a clatd."""

    fast_paths = ("off", "required", WITHOUT_BPF)
    uplinks = (WWAN0,)  # with a prefix of its own, behind which private addresses are possible
    nat64 = False
    lan = True

    def setUp(self) -> None:
        super().setUp()
        self.start(change=lambda config: config.update(log={"health-interval": "100ms"}))
        up = self.program.find("clat.up", WWAN0.name)[0]
        self.v4, self.v6 = up["v4"], up["v6"]
        self.assertEqual(len(self.program.find("filter.unavailable")), 1 if self.fast_path == WITHOUT_BPF else 0)
        self.listener = self.lab.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.listener.close)
        self.listener.bind(("0.0.0.0", PORT))
        self.listener.settimeout(5 * SLOW)
        self.sender = self.lab.plat.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self.addCleanup(self.sender.close)

    def delivers(self, source: str) -> bool:
        """Whether a datagram from there comes out. One behind it always does."""
        for each in (source, OUTSIDE):
            six = WWAN0.embed(each)
            datagram = Ipv6(six, self.v6, UDP, packet.udp(six, self.v6, (PORT, PORT), b"who?"))
            self.sender.sendto(bytes(datagram), (WWAN0.far, ETH_P_IPV6, 0, 0, bytes.fromhex(WWAN0.lladdr.replace(":", ""))))
        first = self.listener.recvfrom(64)[1][0]
        if first == OUTSIDE:
            return False
        self.assertEqual((first, self.listener.recvfrom(64)[1][0]), (source, OUTSIDE))
        return True

    def test_not_as_a_host_of_the_lan(self) -> None:
        for source in (self.lab.lan_host, "192.168.7.1", "192.168.7.255"):
            self.assertFalse(self.delivers(source), source)
        self.assertTrue(self.delivers("192.168.8.1"))
        since = self.program.mark()
        self.assertEqual(self.program.wait_event("health", WWAN0.name, since=since, count=2)["drop_connected"], "3")
        self.program.stop()

    def test_subnets_come_and_go(self) -> None:
        self.assertTrue(self.delivers("10.9.8.7"))
        # Each within the next one: the largest counts.
        subnets = ("10.9.8.1/24", "10.9.1.1/16", "10.9.8.7/32")
        for subnet in subnets:
            self.lab.router.ip(f"address add {subnet} dev lan0")
        wait_until(lambda: not self.delivers("10.9.2.7"), 5 * SLOW, "they are known")
        self.assertFalse(self.delivers("10.9.8.7"))
        for subnet in subnets:
            self.lab.router.ip(f"address delete {subnet} dev lan0")
        wait_until(lambda: self.delivers("10.9.8.7"), 5 * SLOW, "they are forgotten")
        self.assertFalse(self.delivers(self.lab.lan_host))
        self.program.stop()

    def test_the_next_supervisor_knows_them(self) -> None:
        self.program.process.kill()
        self.program.process.wait()
        self.lab.router.ip("address add 10.9.8.1/24 dev lan0")
        since = self.program.mark()
        self.program.start().wait_up(since=since)
        # Without BPF it is another: the record names the routed leg, and the fast one is tried first.
        self.v6 = self.program.wait_event("clat.up", WWAN0.name, since=since)["v6"]
        for source in ("10.9.8.7", self.lab.lan_host):
            self.assertFalse(self.delivers(source), source)
        self.program.stop()
