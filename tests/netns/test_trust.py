"""A bpffs that others may write to (mode 1777, as `mount -t bpf` makes it): a stranger was there first."""

from __future__ import annotations

import fcntl
import os
import shutil

from harness import snapshot
from harness.case import LabTest
from harness.clatvisor import SLOW, run_to_exit
from harness.lab import WAN0, wait_until

STRANGER = 65534


class StrangersFolder(LabTest):
    uplinks = (WAN0,)
    nat64 = False

    def setUp(self) -> None:
        super().setUp()
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.lab.bpffs.chmod(0o1777)
        self.client = self.lab.client(WAN0)

    def check_that_ours_works(self) -> str:
        """The name of the folder of this version and namespace."""
        before = self.snapshot()
        program = self.start()
        self.client.udp_echo(self.lab.direct_v4)
        self.assertNotEqual(program.find("clat.up", "wan0")[0]["path"], "routed")
        name = next(program.bpf_dir.iterdir()).name
        program.stop()
        self.assertEqual(program.find("action.failed"), [])
        self.assert_unchanged(before, "after a stop")
        return name

    def test_it_is_neither_used_nor_waited_for_nor_emptied(self) -> None:
        name = self.check_that_ours_works()
        folder = self.program.bpf_dir
        for each in (folder, folder / name, folder / name / "link-1-tun-egress"):
            each.mkdir()
            os.chown(each, STRANGER, STRANGER)
        lock = os.open(folder / name, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        theirs = snapshot.files_below(self.lab.bpffs)

        program = self.start()
        unavailable = program.find("fastpath.unavailable", "wan0")
        self.assertEqual(len(unavailable), 1, program.tail())
        self.assertIn(f"{folder} belongs to uid {STRANGER}", unavailable[0]["reason"])
        self.assertEqual(program.find("clat.up", "wan0")[0]["path"], "routed")
        self.client.udp_echo(self.lab.direct_v4)
        program.stop()
        self.assertEqual(snapshot.files_below(self.lab.bpffs), theirs)

        done = run_to_exit(self.lab, "--config", str(program.config_file), "--cleanup", timeout=5)
        self.assertEqual(done.returncode, 71, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(f"{folder} belongs to uid {STRANGER}", done.stderr)
        self.assertEqual(snapshot.files_below(self.lab.bpffs), theirs)

        shutil.rmtree(folder)
        self.check_that_ours_works()

    def test_once_it_is_gone_the_fast_path_comes(self) -> None:
        self.check_that_ours_works()
        folder = self.program.bpf_dir
        folder.mkdir()
        os.chown(folder, STRANGER, STRANGER)
        program = self.start()
        program.wait_event("fastpath.unavailable", "wan0")
        folder.rmdir()
        program.wait_event("fastpath.attached", "wan0", timeout=20)
        wait_until(lambda: snapshot.programs(self.lab.router, "wan0"), 5 * SLOW, "programs on the uplink")
        self.client.udp_echo(self.lab.direct_v4)
        program.stop()
        self.assertFalse(folder.exists())
