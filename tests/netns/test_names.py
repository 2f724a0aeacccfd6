"""The laboratory itself: what a killed run leaves is removed by the next, and a living run is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from harness import names
from harness.lab import WAN0, Lab

HERE = Path(__file__).resolve().parent


class Leftovers(unittest.TestCase):
    def test_of_a_killed_run_are_removed(self) -> None:
        code = (
            "import sys; from harness.lab import Lab, WAN0; lab = Lab((WAN0,)); print(lab.router.name, lab.scratch, flush=True);"
            "sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other, Lab((WAN0,)) as living:  # fmt: skip
            router, scratch = other.stdout.readline().split()
            plat = names.NETNS_DIR / router.replace("router", "plat")
            names.reap_dead_runs()
            self.assertTrue(plat.exists() and Path(scratch).exists(), "of a living run")
            self.assertTrue(names.pids_in(plat), "tayga runs")
            os.kill(other.pid, signal.SIGKILL)
            other.wait()
            names.reap_dead_runs()
            self.assertEqual([name for name in os.listdir(names.NETNS_DIR) if name.startswith(f"cvt-{other.pid}-")], [])
            self.assertFalse(Path(scratch).exists())
            self.assertTrue(living.router.path.exists())
            self.assertIn("wan0", living.router.run("ip", "-br", "link"))

    def test_the_lab_is_gone_when_closed(self) -> None:
        with Lab((WAN0,)) as lab:
            scratch, paths = lab.scratch, [lab.router.path, lab.plat.path, lab.server.path]
            pids = [pid for namespace in (lab.router, lab.plat, lab.server) for pid in namespace.pids()]
            self.assertTrue(pids)
        self.assertFalse(scratch.exists() or any(path.exists() for path in paths))
        self.assertFalse(any(Path(f"/proc/{pid}").exists() for pid in pids))

    def test_native_ipv6_reaches_the_ipv4_server(self) -> None:
        """The yardstick of every other test: the path works without a CLAT."""
        with Lab(lan=True) as lab:
            for uplink in lab.uplinks:
                for host in (lab.server_v4, lab.direct_v4):
                    lab.router.run("ping", "-n", "-c", "2", "-i", "0.2", "-I", uplink.name, uplink.embed(host))
