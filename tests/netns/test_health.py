"""The health line: one for each interface in each interval, with counters that follow the traffic."""

from __future__ import annotations

from harness.case import LabTest
from harness.clatvisor import SLOW, Event
from harness.lab import WAN0, WWAN0


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
        """Of two uplinks, one of them with clatd alone: each way is counted where the datagrams went, nowhere else."""
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)

        def change(config: dict) -> None:
            config.update(log={"health-interval": "1s"})
            config["interfaces"]["wwan0"]["fast-path"] = "off"

        program = self.start(change=change)
        sent = 50
        for uplink, fast, slow in ((WAN0, sent, 0), (WWAN0, 0, sent)):
            client = self.lab.client(uplink)
            before = self.line_after(uplink.name)
            for _ in range(sent):
                client.udp_echo(self.lab.direct_v4, tries=1, timeout=5)
            after = self.line_after(uplink.name)
            for way in ("ipv6", "ipv4"):
                self.assertEqual(self.rise(before, after, f"fast_to_{way}_udp_packets"), fast, after.line)
                self.assertEqual(self.rise(before, after, f"slow_to_{way}_packets"), slow, after.line)
        program.stop()

    def rise(self, before: Event, after: Event, key: str) -> int:
        """Without a fast path there are no counters of it."""
        return int(after.fields.get(key, 0)) - int(before.fields.get(key, 0))
