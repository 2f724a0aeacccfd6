"""probe: a NAT64 that falls silent leaves IPv4 to the next uplink, and gets it back when it answers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from harness.case import BothPaths
from harness.clatvisor import NO_LEAK_CHECK, SLOW
from harness.lab import WAN0, WWAN0, wait_until

AS_THE_UNIT = [sys.executable, str(Path(__file__).with_name("as_the_unit.py"))]
SILENT = "table inet lab_silent {{ chain pre {{ type filter hook prerouting priority -400; {} drop; }}; }}"


class Probe(BothPaths):
    nat64 = False

    def change(self, config: dict) -> None:
        for interface in config["interfaces"].values():
            interface["probe"] = f"{{address: {self.lab.direct_v4}, interval: 1s}}"

    def silence(self) -> None:
        self.lab.plat.run("nft", "-f", "-", input=SILENT.format(f"ip6 daddr {WAN0.embed(self.lab.direct_v4)}"))

    def speak(self) -> None:
        self.lab.plat.run("nft", "delete", "table", "inet", "lab_silent")

    def default(self) -> str:
        """The tun by which IPv4 goes."""
        return self.lab.router.run("ip", "route", "get", self.lab.direct_v4).split(" dev ")[1].split()[0]

    def test_silent_and_back(self) -> None:
        program = self.start(change=self.change)
        self.assertEqual(self.default(), WAN0.tun)
        clatd = program.wait_clatd("wan0")
        self.silence()
        down = program.wait_event("clat.down", "wan0", timeout=15)
        self.assertEqual(down["reason_code"], "probe")
        wait_until(lambda: self.default() == WWAN0.tun, 3 * SLOW, "the other uplink has the default route")
        self.lab.client(WWAN0).udp_echo(self.lab.direct_v4)
        since = program.mark()
        self.speak()
        program.wait_event("clat.up", "wan0", since=since)
        wait_until(lambda: self.default() == WAN0.tun, 3 * SLOW, "it has it back")
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        self.assertEqual(program.wait_clatd("wan0"), clatd)
        self.assertEqual(program.find("clat.down", "wwan0"), [])
        program.stop()

    def test_inside_the_unit(self) -> None:
        program = self.start(change=self.change, wrap=[*AS_THE_UNIT, str(self.lab.scratch)], env=NO_LEAK_CHECK)
        self.silence()
        program.wait_event("clat.down", "wan0", reason_code="probe", timeout=15)
        since = program.mark()
        self.speak()
        program.wait_event("clat.up", "wan0", since=since)
        program.stop()

    def test_a_reload_adds_and_removes_it(self) -> None:
        program = self.start()
        children = [program.wait_clatd(uplink.name) for uplink in self.lab.uplinks]
        plain = program.config_file.read_text()
        self.silence()
        with_probe = plain
        for uplink in self.lab.uplinks:
            key = f"nat64-prefix: {uplink.prefix}\n"
            with_probe = with_probe.replace(key, f"{key}    probe: {{address: {self.lab.direct_v4}, interval: 1s}}\n")
        program.reload(with_probe)
        program.wait_event("clat.down", "wan0", reason_code="probe", timeout=15)
        since = program.mark()
        program.reload(plain)
        program.wait_event("clat.up", "wan0", since=since)
        self.assertEqual([program.wait_clatd(uplink.name) for uplink in self.lab.uplinks], children)
        program.stop()

    def test_the_next_supervisor_finds_out_as_well(self) -> None:
        before = self.snapshot()
        program = self.start(change=self.change)
        self.silence()
        program.wait_event("clat.down", "wan0", timeout=15)
        os.kill(program.pid, signal.SIGKILL)
        program.wait_exit()
        since = program.mark()
        program.start()
        down = program.wait_event("clat.down", "wan0", since=since, timeout=15)
        self.assertEqual(down["reason_code"], "probe")
        since = program.mark()
        self.speak()
        program.wait_event("clat.up", "wan0", since=since)
        program.stop()
        self.assert_unchanged(before, "after the stop")
