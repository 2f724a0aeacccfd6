"""A clatd that hangs, hangs up or lies is replaced; one that refuses its arguments is left alone."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from harness.case import LabTest
from harness.clatvisor import BIN, Clatvisor
from harness.lab import WAN0, wait_until
from harness.traffic import Bulk

FAST = {"audit-interval": "200ms"}
CLATD = {"restart": {"initial": "100ms", "jitter": 0}, "stop-timeout": "300ms"}


class Liveness(LabTest):
    uplinks = (WAN0,)

    def stub(self, deed: str) -> Path:
        path = self.lab.scratch / deed
        shutil.copy(BIN / "stub_clatd", path)
        return path

    def start_with(self, clatd: dict, *, up: bool = True) -> Clatvisor:
        return self.start(up=up, change=lambda config: config.update(FAST, clatd={**CLATD, **clatd}))

    def test_a_stopped_one_is_killed_and_replaced_while_flows_go_on(self) -> None:
        program = self.start_with({})
        clatd = program.wait_clatd("wan0")
        bulk = Bulk(self.lab.client(WAN0), self.lab.direct_v4, upload=False)
        bulk.wait_bytes(5_000_000)
        since = program.mark()
        os.kill(clatd, signal.SIGSTOP)
        replaced = program.wait_event("clat.replaced", "wan0", since=since, timeout=15)
        self.assertEqual(replaced["reason"], "it did not answer within 5000ms")
        exited = program.wait_event("clat.exited", "wan0", since=since)
        self.assertEqual((exited["signal"], exited["asked"]), ("SIGKILL", "yes"))
        program.wait_event("clat.ready", "wan0", since=since)
        self.assertNotEqual(program.wait_clatd("wan0"), clatd)
        self.assertLess(bulk.finish(), 1.0)
        self.assertEqual(program.find("clat.down"), [])
        self.assertEqual(self.lab.client(WAN0).ping(self.lab.server_v4), 3)
        program.stop()

    def test_answers_keep_it_alive(self) -> None:
        program = self.start_with({})
        clatd = program.wait_clatd("wan0")
        # Longer than any patience, and one answer for each of some sixty audits.
        with self.assertRaises(AssertionError):
            program.wait_event("clat.replaced", "wan0", timeout=11)
        self.assertEqual(program.clatd_pid("wan0"), clatd)
        program.stop()

    def test_one_that_was_ready_and_says_no_more_is_replaced(self) -> None:
        program = self.start_with({"path": self.stub("deaf")})
        replaced = program.wait_event("clat.replaced", "wan0", timeout=15)
        self.assertEqual(replaced["reason"], "it did not answer within 5000ms")
        # It obeys SIGTERM, so no more is needed.
        self.assertEqual(program.wait_event("clat.exited", "wan0")["signal"], "SIGTERM")
        program.wait_event("clat.spawned", "wan0", count=2)
        program.stop()

    def test_one_that_hangs_up_is_replaced(self) -> None:
        program = self.start_with({"path": self.stub("hangs-up")})
        replaced = program.wait_event("clat.replaced", "wan0")
        self.assertEqual(replaced["reason"], "it closed its control socket")
        program.wait_event("clat.backoff", "wan0", reason="it closed its control socket")
        program.wait_event("clat.spawned", "wan0", count=2)
        program.stop()

    def test_one_that_lies_is_replaced(self) -> None:
        program = self.start_with({"path": self.stub("lies")})
        replaced = program.wait_event("clat.replaced", "wan0")
        self.assertIn("a report that nobody asked for", replaced["reason"])
        program.stop()

    def test_one_that_refuses_its_arguments_is_not_started_again_before_a_reload(self) -> None:
        program = self.start_with({"path": self.stub("refuses")}, up=False)
        failed = program.wait_event("clat.failed", "wan0")
        self.assertEqual((failed["part"], failed["reason"]), ("child", "clatd refused its arguments"))
        self.assertEqual(program.wait_event("clat.exited", "wan0")["meaning"], "bad arguments")
        since = program.mark()
        program.send_signal(signal.SIGUSR1)
        dump = program.wait_event("state.dump", since=since, count=3)
        self.assertIn("state=failed clatd=failed pid=0", dump["line"])
        self.assertEqual(program.find("clat.backoff"), [])
        program.reload()
        program.wait_event("clat.spawned", "wan0", count=2)
        program.stop()

    def test_a_flapping_one_is_told_once_and_shown(self) -> None:
        program = self.start_with({"restart": {"initial": "10ms", "max": "20ms", "jitter": 0}})
        for _ in range(5):
            since = program.mark()
            os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
            program.wait_event("clat.ready", "wan0", since=since)
        flapping = program.find("clat.flapping", "wan0")
        self.assertEqual([event["failures"] for event in flapping], ["5"])
        since = program.mark()
        program.send_signal(signal.SIGUSR1)
        wait_until(
            lambda: any(" clatd=flapping " in event["line"] for event in program.find("state.dump", since=since)), 5, "a dump"
        )
        program.stop()
