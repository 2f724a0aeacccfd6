"""Descriptors, memory, disk, processes and log readers that run out: one interface degrades, says so, and recovers."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import leaks
from harness.case import LabTest
from harness.clatvisor import BIN, SLOW, Clatvisor, open_fds, parse_logfmt
from harness.faults import Faults
from harness.lab import WAN0, WWAN0, wait_until

RESTART = {"restart": {"initial": "10ms", "max": "50ms", "jitter": 0}}


class Scarce(LabTest):
    """The other interface keeps its child and its IPv4 meanwhile."""

    nat64 = False

    def start_both(self, **options) -> None:
        self.faults = Faults(self.lab.scratch)
        self.start(env=self.faults.env, change=lambda config: config.update(clatd=RESTART, **options))
        self.child = self.program.wait_clatd("wwan0")
        self.before = leaks.count(self.program)

    def assert_recovered(self) -> None:
        wait_until(lambda: self.lab.client(WAN0).udp_works(self.lab.direct_v4), 10 * SLOW, f"IPv4 on wan0: {self.program.tail()}")
        self.program.wait_clatd("wan0")
        self.assert_other_untouched()
        leaks.assert_none(self.before, self.program)
        self.program.stop()

    def assert_other_untouched(self) -> None:
        self.assertEqual(self.program.wait_clatd("wwan0"), self.child, self.program.tail(60))
        self.assertEqual(self.program.find("clat.down", "wwan0"), [])
        self.lab.client(WWAN0).udp_echo(self.lab.direct_v4)

    def kill_child(self) -> int:
        since = self.program.mark()
        os.kill(self.program.wait_clatd("wan0"), signal.SIGKILL)
        return since

    def test_descriptors(self) -> None:
        self.start_both()
        pid = self.program.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(open_fds(pid)) + 1, limits[1]))
        since = self.kill_child()
        backoff = self.program.wait_event("clat.backoff", "wan0", since=since, count=3)
        self.assertIn(os.strerror(errno.EMFILE), backoff.line)
        self.assert_other_untouched()
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)  # the fast path needs nobody
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        self.program.wait_event("clat.ready", "wan0", since=since)
        self.assert_recovered()

    def test_processes(self) -> None:
        self.start_both()
        self.faults.arm("fork", 0, errno.EAGAIN, count=1000)
        since = self.kill_child()
        backoff = self.program.wait_event("clat.backoff", "wan0", since=since, count=3)
        self.assertIn(os.strerror(errno.EAGAIN), backoff.line)
        self.program.wait_event("clat.flapping", "wan0", since=since)
        self.assert_other_untouched()
        self.faults.disarm("fork")
        self.program.wait_event("clat.ready", "wan0", since=since)
        self.assert_recovered()

    def test_kernel_memory_for_the_fast_path(self) -> None:
        self.start_both()
        self.faults.arm("bpf", 0, errno.ENOMEM, count=10**6)
        since = self.program.mark()
        self.lab.delete_link(WAN0)
        self.program.wait_event("clat.down", "wan0", since=since)
        self.lab.make_link(WAN0)
        unavailable = self.program.wait_event("fastpath.unavailable", "wan0", since=since)
        self.assertIn(os.strerror(errno.ENOMEM), unavailable["reason"])
        self.assert_other_untouched()
        self.faults.disarm("bpf")
        self.program.wait_event("fastpath.attached", "wan0", since=since)
        self.assert_recovered()

    @contextmanager
    def tiny_disk(self) -> Iterator[Path]:
        folder = self.lab.scratch / "disk"
        folder.mkdir(mode=0o700)
        # In pages: the records of two interfaces, the lock, and one to fill.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=False)

    def test_disk_of_the_state_directory(self) -> None:
        with self.tiny_disk() as disk:
            self.start_both(**{"state-dir": disk})
            since = self.program.mark()
            self.lab.delete_link(WAN0)
            self.program.wait_event("clat.down", "wan0", since=since)
            wait_until(lambda: not list(disk.glob("wan0*")), 15 * SLOW, "the record goes, after its blackhole")
            filler = disk / "filler"
            with self.assertRaises(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            self.lab.make_link(WAN0)
            failed = self.program.wait_event("clat.failed", "wan0", since=since)
            self.assertIn(os.strerror(errno.ENOSPC), failed["reason"])
            self.assertIsNone(self.lab.router.link_index("v4-wan0"), "nothing is made that no record names")
            self.assert_other_untouched()
            filler.unlink()
            self.program.wait_event("clat.up", "wan0", since=since)
            self.assert_recovered()


class Log(LabTest):
    """A log that nobody reads, or that has no room, costs lines and nothing else."""

    nat64 = False
    uplinks = (WAN0,)

    def make_noise(self) -> None:
        """Dumps, as fast as they come, and a child that dies and comes back among them."""
        for _ in range(200):
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(0)  # a signal that is pending is not sent twice
        clatd = self.program.wait_clatd("wan0")
        os.kill(clatd, signal.SIGKILL)
        self.program.wait_clatd("wan0", other_than=clatd)
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)

    def test_pipe_that_nobody_reads(self) -> None:
        program = self.program = Clatvisor(self.lab)
        config = program.default_config() | {"clatd": RESTART, "log": {"level": "debug"}}
        program.write_config(config)
        program.process = self.lab.router.popen(
            str(BIN / "clatvisor"), "--config", str(program.config_file),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.pid = program.process.pid
        program.wait_clatd("wan0")
        wait_until(lambda: self.lab.client(WAN0).udp_works(self.lab.direct_v4), 10 * SLOW, "IPv4")
        for _ in range(10):
            self.make_noise()
        # Somebody begins to read: what was dropped is said before anything else.
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(line.decode() for line in program.process.stderr))
        reader.start()
        os.kill(self.pid, signal.SIGTERM)
        self.assertEqual(program.process.wait(10 * SLOW), 0)
        reader.join(5)
        events = [parse_logfmt(line.rstrip("\n")) for line in lines]
        dropped = [event for event in events if event["event"] == "log.dropped"]
        self.assertGreater(sum(int(event["lines"]) for event in dropped), 0)
        self.assertEqual(events[-1]["event"], "supervisor.stopped")

    def test_disk_that_is_full(self) -> None:
        with Scarce.tiny_disk(self) as disk:
            log = disk / "log"
            config = {"clatd": RESTART, "log": {"level": "debug", "target": log, "health-interval": "100ms"}}
            program = self.program = Clatvisor(self.lab)
            program.write_config(program.default_config() | config)
            program.start()
            self.pid = program.pid
            wait_until(lambda: self.lab.client(WAN0).udp_works(self.lab.direct_v4), 10 * SLOW, "IPv4")
            while os.statvfs(disk).f_bavail > 0:
                self.make_noise()
            self.make_noise()
            log.rename(disk / "log.1")
            (disk / "log.1").unlink()  # the open file keeps its room until it is closed
            os.kill(self.pid, signal.SIGHUP)
            wait_until(lambda: log.exists() and "event=log.dropped" in log.read_text(), 10 * SLOW, "the count of what was dropped")
            for line in log.read_text().splitlines():
                parse_logfmt(line)
            program.stop()


class Clock(LabTest):
    nat64 = False
    uplinks = (WAN0,)

    def test_steps_of_the_wall_clock_change_nothing(self) -> None:
        faults = Faults(self.lab.scratch)
        restart = {"restart": {"initial": "300ms", "jitter": 0}}
        program = self.start(env=faults.env, change=lambda c: c.update({"clatd": restart, "log": {"health-interval": "500ms"}}))
        child = program.wait_clatd("wan0")
        for years in (30, -50, 0):
            faults.step_wall_clock(years * 365 * 86400)
            first = program.wait_event("health", "wan0", since=program.mark())
            self.assertEqual(int(first["pid"]), child)
            since = program.mark()
            fourth = program.wait_event("health", "wan0", since=since, count=4)
            self.assertAlmostEqual(fourth.at - first.at, 2, delta=0.7 * SLOW)
            year = int(fourth["ts"][:4])
            self.assertAlmostEqual(year, time.gmtime().tm_year + years, delta=1)
            if years == 0:
                continue
            os.kill(child, signal.SIGKILL)
            exited = program.wait_event("clat.exited", "wan0", since=since)
            self.assertLess(float(exited["uptime"].removesuffix("ms")), 60_000 * SLOW)
            ready = program.wait_event("clat.ready", "wan0", since=since)
            self.assertGreater(ready.at - exited.at, 0.2)
            child = program.wait_clatd("wan0", other_than=child)
        self.assertEqual(program.find("clat.down"), [])
        program.stop()


FORGER = r"""#!/usr/bin/python3
import os, sys
text = (
    b'ts=2026-01-01T00:00:00.000Z level=error event=clat.failed iface=wwan0 reason=forged\n'
    b'x" level=error event=clat.failed iface=wwan0 reason="forged\n'
    b'\r\x1b[2Jts=2026-01-01T00:00:00.000Z level=error event=clat.failed iface=wwan0\n'
    b'\xff\xfe\x00\x9b31m{"event":"clat.failed"}\n'
)
os.write(2, text)
os.write(1, b"y" * 100_000 + b"\n")
while True:
    os.write(1, b"flood event=clat.failed iface=wwan0\n" * 100)
"""


class Output(LabTest):
    """A child that prints without end, lines that look like ours."""

    nat64 = False

    def test_neither_forges_nor_floods(self) -> None:
        for format_ in ("logfmt", "json"):
            with self.subTest(format_):
                self.check(format_)

    def check(self, format_: str) -> None:
        program = self.program = Clatvisor(self.lab)
        forger = self.lab.scratch / "forger"
        forger.write_text(FORGER)
        clatd = self.lab.scratch / "clatd"
        clatd.write_text(f'#!/bin/sh\ncase "$2" in wan0) exec {forger} ;; esac\nexec {BIN}/clatd "$@"\n')
        for file in (forger, clatd):
            file.chmod(0o755)
        before = program.mark()
        program.write_config(program.default_config() | {"clatd": {"path": clatd}, "log": {"format": format_}})
        program.start()
        # The other one comes up beside the flood, and the stop is heard.
        wait_until(lambda: self.lab.client(WWAN0).udp_works(self.lab.direct_v4), 20 * SLOW, "IPv4 on wwan0")
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() - begin > 3, 10, "three seconds of flood", every=0.5)
        program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait_exit(15), 0)
        raw = [event.line for event in program.events[before:]] + program.garbage
        program.garbage.clear()
        events = [json.loads(line) if format_ == "json" else parse_logfmt(line) for line in raw]
        self.assertEqual([event for event in events if event["event"] == "clat.failed"], [])
        output = [event for event in events if event["event"] == "child.output" and event["iface"] == "wan0"]
        self.assertIn("reason=forged", output[0]["line"])
        self.assertLess(len(output), 20 + 5 * 15 * SLOW)
        self.assertGreater(sum(int(event.get("suppressed", 0)) for event in output), 1000)
        self.assertEqual([line for line in raw if re.search(r"[\x00-\x1f\x7f-\x9f]", line)], [])
