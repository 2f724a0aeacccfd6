"""A child that dies: flows on the fast path do not notice, and backoff spaces the new ones."""

from __future__ import annotations

import os
import signal
import time

from harness import snapshot
from harness.case import LabTest, rounds
from harness.clatvisor import SLOW
from harness.lab import WAN0, wait_until
from harness.traffic import Bulk


class Killed(LabTest):
    uplinks = (WAN0,)

    def state(self) -> dict[str, object]:
        """All that a child's death must not touch."""
        return snapshot.take(self.lab.router, self.lab.bpffs, processes=False)

    def kill_clatd(self) -> float:
        clatd = self.program.wait_clatd("wan0")
        at = time.monotonic()
        os.kill(clatd, signal.SIGKILL)
        return at

    def check_during(self, *, upload: bool, host: str) -> None:
        program = self.start(change=lambda config: config.update(clatd={"restart": {"initial": "300ms", "jitter": 0}}))
        before = self.state()
        bulk = Bulk(self.lab.client(WAN0), host, upload=upload)
        bulk.wait_bytes(5_000_000)
        since = program.mark()
        killed = self.kill_clatd()
        ready = program.wait_event("clat.ready", "wan0", since=since)
        self.assertLess(ready.at - killed, 0.3 + 0.2 * SLOW)
        bulk.wait_bytes(5_000_000)
        self.assertLess(bulk.finish(), 1.0)
        self.assertEqual(snapshot.differences(before, self.state()), [])
        self.assertEqual(program.find("clat.down") + program.find("clat.up", since=since), [])
        self.assertEqual(len(program.find("clat.exited", "wan0", since, signal="SIGKILL")), 1, program.tail())
        # The slow path is back as well.
        self.assertEqual(self.lab.client(WAN0).ping(self.lab.server_v4), 3)
        program.stop()

    def test_during_a_download(self) -> None:
        self.check_during(upload=False, host=self.lab.direct_v4)

    def test_during_an_upload(self) -> None:
        self.check_during(upload=True, host=self.lab.direct_v4)

    def test_during_a_download_through_tayga(self) -> None:
        self.check_during(upload=False, host=self.lab.server_v4)

    def test_delays_double_and_start_again_after_a_stable_run(self) -> None:
        restart = {"initial": "50ms", "max": "400ms", "factor": 2, "jitter": 0, "stable-after": "2s"}
        program = self.start(change=lambda config: config.update(clatd={"restart": restart}))

        def kill_and_read_delay() -> str:
            since = program.mark()
            self.kill_clatd()
            delay = program.wait_event("clat.backoff", "wan0", since=since)["delay"]
            spawned = program.wait_event("clat.spawned", "wan0", since=since)
            ready = program.wait_event("clat.ready", "wan0", since=since)
            exited = program.wait_event("clat.exited", "wan0", since=since)
            took = ready.at - exited.at
            self.assertGreaterEqual(spawned.at - exited.at, float(delay.removesuffix("ms")) / 1000 - 0.02)
            self.assertLess(took, float(delay.removesuffix("ms")) / 1000 + 0.2 * SLOW)
            return delay

        self.assertEqual([kill_and_read_delay() for _ in range(5)], ["50ms", "100ms", "200ms", "400ms", "400ms"])
        self.stable_run(2.2)
        self.assertEqual([kill_and_read_delay() for _ in range(2)], ["50ms", "100ms"])
        self.assertEqual(self.lab.client(WAN0).ping(self.lab.server_v4), 3)
        program.stop()

    def stable_run(self, seconds: float) -> None:
        """The pinged child has run for so long; its own uptime is what is waited for."""
        clatd = self.program.wait_clatd("wan0")
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() - begin > seconds, seconds + 5, "a stable run", every=0.2)
        self.assertEqual(self.program.wait_clatd("wan0"), clatd)

    def test_many_deaths_leak_nothing(self) -> None:
        program = self.start(
            change=lambda config: config.update(clatd={"restart": {"initial": "1ms", "max": "2ms", "jitter": 0}})
        )
        pid = program.pid
        before, fds = self.state(), len(os.listdir(f"/proc/{pid}/fd"))
        for _ in range(rounds(50, "kill -9 of clatd")):
            since = program.mark()
            self.kill_clatd()
            program.wait_event("clat.ready", "wan0", since=since)
        self.assertEqual(len(os.listdir(f"/proc/{pid}/fd")), fds)
        self.assertEqual(snapshot.differences(before, self.state()), [])
        program.stop()
