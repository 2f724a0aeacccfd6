"""clatvisor inside what config/init/clatvisor.service leaves it."""

from __future__ import annotations

import grp
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness.case import LabTest, every_interface
from harness.clatvisor import NO_LEAK_CHECK, ROOT
from harness.lab import WAN0

UNIT = ROOT / "config" / "init" / "clatvisor.service"
AS_THE_UNIT = [sys.executable, str(Path(__file__).with_name("as_the_unit.py"))]


class Unit(unittest.TestCase):
    def test_exposure(self) -> None:
        """In tenths, as systemd counts; it exits with 1 above the threshold."""
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=yes", "--threshold=33", UNIT], capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_cross_is_explained(self) -> None:
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=yes", "--threshold=33", "--no-pager", UNIT], capture_output=True, text=True
        )
        explained = [
            setting for line in re.findall(r"^#   (\S.*?)  ", UNIT.read_text(), re.MULTILINE) for setting in line.split(", ")
        ]
        crosses = re.findall(r"^✗ (\S+)", done.stdout, re.MULTILINE)
        for cross in crosses:
            self.assertTrue(any(setting in cross for setting in explained), f"{cross} is not explained in the unit")
        for setting in explained:
            self.assertTrue(any(setting in cross for cross in crosses), f"{setting} has no cross any more")


class Inside(LabTest):
    nat64 = False
    uplinks = (WAN0,)

    def inside(self) -> dict:
        return {"wrap": [*AS_THE_UNIT, str(self.lab.scratch)], "env": NO_LEAK_CHECK}

    def refused(self, command: str) -> str:
        done = subprocess.run(
            self.lab.router.command(*AS_THE_UNIT, str(self.lab.scratch), "sh", "-c", command), capture_output=True, text=True
        )
        self.assertNotEqual(done.returncode, 0, f"{command} went well")
        return done.stderr

    def test_the_walls_stand(self) -> None:
        with tempfile.TemporaryDirectory() as outside:
            self.assertIn("Read-only file system", self.refused(f"echo > {outside}/file"))
        self.assertIn("not permitted", self.refused("unshare --mount true"))
        self.assertIn("not permitted", self.refused("nice -n 5 true && chrt -f 1 true"))
        python = f"{sys.executable} -c"
        self.assertIn("EAFNOSUPPORT", self.refused(f"{python} 'import socket, errno; socket.socket(40, 1)' 2>&1 | sed s/97/EAFNOSUPPORT/ >&2; false"))
        self.assertIn("Operation not permitted", self.refused(f"{python} 'import mmap; mmap.mmap(-1, 4096, prot=7)'"))

    def test_a_life(self) -> None:
        before = self.snapshot()
        program = self.start(change=every_interface(fast_path="required"), **self.inside())
        client = self.lab.client(WAN0)
        client.udp_echo(self.lab.direct_v4)
        first = program.wait_clatd(WAN0.name)
        os.kill(first, signal.SIGKILL)
        program.wait_clatd(WAN0.name, other_than=first)
        program.reload()
        program.send_signal(signal.SIGUSR1)
        program.wait_event("state.dump")
        # A successor takes it over.
        program.stop(signal.SIGUSR2)
        since = program.mark()
        program.start()
        program.wait_up(since=since)
        client.udp_echo(self.lab.direct_v4)
        self.lab.remove_address(WAN0)
        program.wait_event("clat.down", since=since)
        self.lab.add_address(WAN0)
        program.wait_event("clat.up", since=since, count=2)
        program.stop()
        self.assert_unchanged(before, "after the stop")

    def test_the_control_socket_of_a_group(self) -> None:
        group = grp.getgrgid(1)
        socket = self.lab.scratch / "run" / "control.sock"

        def change(config: dict) -> None:
            config["control-socket"] = f"{{path: {socket}, group: {group.gr_name}}}"

        program = self.start(change=change, **self.inside())
        self.assertEqual(socket.stat().st_gid, group.gr_gid, program.tail())
        program.stop()

    def test_without_bpf(self) -> None:
        """nft runs in there as well, and the routed leg."""
        before = self.snapshot()
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)

        def change(config: dict) -> None:
            config["bpf-dir"] = self.lab.scratch / "no-bpffs"

        program = self.start(change=change, **self.inside())
        self.assertEqual(len(program.find("filter.unavailable")), 1, program.tail())
        self.assertIn("table inet clatvisor", self.lab.router.run("nft", "list", "tables"))
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        program.stop()
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 0)
        self.assert_unchanged(before, "after the stop")
