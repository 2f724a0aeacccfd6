"""Neighbour discovery for the CLAT address, as the peer's kernel sees it."""

from __future__ import annotations

import re
import subprocess
import time

from harness.case import BothPaths, LabTest, rounds
from harness.clatvisor import SLOW, Clatvisor
from harness.lab import WAN0, wait_until
from harness.packet import packed
from harness.tap import ETH_P_IPV6, incoming
from harness.traffic import UdpStream


class PeerCache(LabTest):
    uplinks = (WAN0,)
    nat64 = False

    # RFC 4861's 30 s of REACHABLE and 5 s of DELAY, shortened: ten minutes hold about 20 cycles.
    timers = {"base_reachable_time_ms": 600, "delay_first_probe_time": 1, "retrans_time_ms": 500}

    def test_stays_reachable_under_load(self) -> None:
        for key, value in self.timers.items():
            self.lab.plat.sysctl(f"net/ipv6/neigh/{WAN0.far}/{key}", value)
        program = self.start()
        clat_v6 = program.find("clat.up", "wan0")[0]["v6"]
        wanted = rounds(20, "NUD cycles under 2000 packets a second")
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        stream = UdpStream(self.lab.client(WAN0), self.lab.direct_v4, 2000)
        states = self.watch_cycles(clat_v6, wanted)
        sent, lost = stream.finish()
        self.assertGreater(sent, 2000 * 0.9 / SLOW)
        self.assertEqual(stream.send_errors, 0)
        self.assertEqual(lost, 0, f"of {sent}; states {states}")
        self.assertNotIn("FAILED", states)
        self.assertNotIn("INCOMPLETE", states)
        program.stop()

    def watch_cycles(self, address: str, wanted: int) -> list[str]:
        """States that `ip monitor` tells for the address, until it was probed and found reachable that often."""
        monitor = self.lab.plat.popen(
            "ip", "monitor", "neigh", "dev", WAN0.far, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        states: list[str] = []
        cycles = 0
        end = time.monotonic() + 10 + 6 * wanted
        try:
            for line in monitor.stdout:
                match = re.match(rf"{re.escape(address)} .*\b([A-Z]+)\s*$", line)
                if match:
                    cycles += match[1] == "REACHABLE" and states[-1:] != ["REACHABLE"]
                    states.append(match[1])
                if cycles >= wanted:
                    return states
                if time.monotonic() > end:
                    break
        finally:
            monitor.terminate()
            monitor.wait()
        self.fail(f"{cycles} of {wanted} cycles; states {states}")


class NewMac(BothPaths):
    """The uplink's MAC address changes, while the peer, behind a switch, has the old one: cloning, or a port that joins a bridge."""

    uplinks = (WAN0,)
    nat64 = False
    other = "02:00:00:00:01:99"

    def setUp(self) -> None:
        super().setUp()
        self.lab.plat.ip(
            "link add switch0 type bridge",
            "link add other0 type veth peer name station0",
            "link set station0 up",
            "link set other0 master switch0 up",
            f"link set {WAN0.far} master switch0",
        )
        self.lab.plat.sysctl("net/ipv6/conf/switch0/accept_dad", 0)
        self.lab.plat.ip(
            f"address del {WAN0.gateway}/64 dev {WAN0.far}",
            "link set switch0 up",
            f"address add {WAN0.gateway}/64 dev switch0 nodad",
        )
        self.heard = incoming(self.lab.plat, "switch0", ETH_P_IPV6)
        self.addCleanup(self.heard.__exit__)

    def start(self, **options) -> Clatvisor:
        program = super().start(**options)
        self.address = program.find("clat.up", "wan0")[0]["v6"]
        wait_until(lambda: self.works() and self.known_mac() == WAN0.lladdr, 5 * SLOW, "the peer knows the MAC address")
        self.heard.wait(self.is_advertisement, "all that is said at the start", count=3)
        return program

    def is_advertisement(self, packet: bytes) -> bool:
        """For the CLAT's address, to all, with Override."""
        to_all = packet[24:40] == packed("ff02::1")
        return packet[6:8] == b"\x3a\xff" and packet[40] == 136 and packet[44] == 0x20 and to_all and packet[48:64] == packed(self.address)

    def works(self) -> bool:
        return self.lab.client(WAN0).udp_works(self.lab.direct_v4)

    def known_mac(self) -> str | None:
        entries = self.lab.plat.ip_json("-6", "neighbour", "show", self.address, "dev", "switch0")
        return entries[0].get("lladdr") if entries else None

    def test_traffic_flows_at_once(self) -> None:
        program = self.start()
        self.lab.router.ip(f"link set {WAN0.name} address {self.other}")
        wait_until(lambda: self.known_mac() == self.other, 0.5 * SLOW, "the peer knows the new MAC address")
        wait_until(self.works, 1 * SLOW, "IPv4 is back")
        program.stop()

    def test_that_changes_without_a_carrier(self) -> None:
        program = self.start()
        since = program.mark()
        self.lab.plat.ip(f"link set {WAN0.far} down")
        program.wait_event("link.down", "wan0")
        self.lab.router.ip(f"link set {WAN0.name} address {self.other}")
        self.assertEqual(self.known_mac(), WAN0.lladdr)
        self.lab.plat.ip(f"link set {WAN0.far} up")
        program.wait_event("link.up", "wan0", since=since)
        # The switch may need a moment for its port: what is said at once is lost then, but not all that is said later.
        wait_until(lambda: self.known_mac() == self.other, 3.5 * SLOW, "the peer knows the new MAC address")
        wait_until(self.works, 1 * SLOW, "IPv4 is back")
        program.stop()
