"""Neighbour discovery for the CLAT address, as the peer's kernel sees it."""

from __future__ import annotations

import re
import subprocess
import time

from harness.case import LabTest, rounds
from harness.clatvisor import SLOW
from harness.lab import WAN0
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
