"""The health line: one for each interface in each interval, with counters that follow the traffic."""

from __future__ import annotations

import re

from harness.case import LabTest
from harness.clatvisor import SLOW, Event


class Health(LabTest):
    def test_a_line_each_second(self) -> None:
        program = self.start(change=lambda config: config.update(log={"health-interval": "1s"}))
        for uplink in self.uplinks:
            fifth = program.wait_event("health", uplink.name, count=5)
            first = program.find("health", uplink.name)[0]
            self.assertAlmostEqual(fifth.at - first.at, 4, delta=0.5 * SLOW)
            self.assertEqual(fifth["state"], "up")
            self.assertEqual(int(fifth["pid"]), program.wait_clatd(uplink.name))
            self.assertEqual(fifth["restarts"], "0")
            self.assertIn("uptime", fifth.fields)
        program.stop()

    def line_after(self, name: str) -> Event:
        """One that was collected wholly after now: the second from here."""
        return self.program.wait_event("health", name, since=self.program.mark(), count=2)

    def test_counters_rise_on_the_right_path(self) -> None:
        program = self.start(change=lambda config: config.update(log={"health-interval": "1s"}))
        client = self.lab.client(self.uplinks[0])
        before = self.line_after("wan0")
        for _ in range(50):
            client.udp_echo(self.lab.direct_v4)
        fast = self.line_after("wan0")
        self.assertEqual(client.ping(self.lab.direct_v4, count=20, interval=0.02), 20)
        slow = self.line_after("wan0")

        def rise(old: Event, new: Event, pattern: str) -> list[int]:
            keys = [key for key in new.fields if re.fullmatch(pattern, key)]
            self.assertEqual(len(keys), 2, f"one each way: {pattern} in {new.line}")
            return [int(new[key]) - int(old[key]) for key in keys]

        fast_udp, slow_all = r"fast_.*_udp_packets", r"slow_.*_packets"
        for value in rise(before, fast, fast_udp):
            self.assertEqual(value, 50)
        for value in rise(before, fast, slow_all):
            self.assertLess(value, 10)
        for value in rise(fast, slow, slow_all):
            self.assertGreaterEqual(value, 20)
        for value in rise(fast, slow, fast_udp):
            self.assertEqual(value, 0)
        program.stop()
