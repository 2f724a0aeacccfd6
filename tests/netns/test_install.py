"""The programs at work from where `cmake --install` put them. tests/install.py looks at the files."""

from __future__ import annotations

import os
from pathlib import Path

from harness.case import LabTest
from harness.clatvisor import ROOT
from harness.installation import Installation
from harness.lab import WAN0

BUILD = Path(os.environ.get("CLATVISOR_BUILD", ROOT / "build"))


class Installed(LabTest):
    nat64 = False
    uplinks = (WAN0,)

    def test_gives_ipv4_and_leaves_nothing(self) -> None:
        root = self.lab.scratch / "root"
        root.mkdir()
        here = Installation(BUILD, root)
        done = here.install()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        # Another package's program of that name, as Debian has one.
        stranger = here.clatvisor.parent / "clatd"
        stranger.write_text("#!/bin/sh\nexit 3\n")
        stranger.chmod(0o755)

        before = self.snapshot()
        program = self.start(binary=here.clatvisor)
        self.assertEqual(Path(f"/proc/{program.pid}/exe").readlink(), here.clatvisor)
        clatd = program.wait_clatd(WAN0.name)
        self.assertEqual(Path(f"/proc/{clatd}/exe").readlink(), here.clatd)
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        program.stop()
        self.assert_unchanged(before, "after the stop")

        stranger.unlink()
        done = here.uninstall()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(list(root.rglob("*")), [])
