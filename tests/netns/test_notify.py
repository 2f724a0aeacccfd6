"""sd_notify: what a service manager hears, from a socket at a path and at an abstract name."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness.case import LabTest
from harness.clatvisor import ROOT, SLOW
from harness.lab import WAN0


class Manager:
    """The receiving end. Remembers all it heard."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.heard: list[dict[str, str]] = []

    def wait(self, key: str, value: str, timeout: float = 10) -> dict[str, str]:
        """The next message with this key and value; those before it are passed over."""
        self._sock.settimeout(timeout * SLOW)
        while True:
            try:
                text = self._sock.recv(4096).decode()
            except TimeoutError:
                raise AssertionError(f"no {key}={value}; heard {self.heard}") from None
            message = dict(line.split("=", 1) for line in text.splitlines())
            self.heard.append(message)
            if re.fullmatch(value, message.get(key, "")):
                return message


def monotonic_usec() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


class Notify(LabTest):
    nat64 = False
    uplinks = (WAN0,)

    def manage(self, name: str, **variables: str) -> Manager:
        # Abstract names belong to a network namespace.
        sock = self.lab.router.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(name.replace("@", "\0", 1))
        self.env = {"NOTIFY_SOCKET": name, **variables}
        return Manager(sock)

    def test_a_life(self) -> None:
        manager = self.manage(str(self.lab.scratch / "notify"), WATCHDOG_USEC="400000")
        self.lab.remove_address(WAN0)
        change = lambda config: config.update({"clatd": {"stop-timeout": "40s"}})  # noqa: E731
        program = self.start(up=False, env=self.env, change=change)
        starting = manager.wait("STATUS", "0 of 1 uplinks up")
        self.assertEqual(starting["EXTEND_TIMEOUT_USEC"], "90000000")  # no records to take over
        manager.wait("READY", "1")
        self.lab.add_address(WAN0)
        manager.wait("STATUS", "1 of 1 uplinks up")

        begin = time.monotonic()
        for _ in range(5):
            manager.wait("WATCHDOG", "1")
        self.assertLess(time.monotonic() - begin, 5 * 0.4)

        before = monotonic_usec()
        program.reload()
        reloading = manager.wait("RELOADING", "1")
        self.assertGreaterEqual(int(reloading["MONOTONIC_USEC"]), before)
        self.assertLessEqual(int(reloading["MONOTONIC_USEC"]), monotonic_usec())
        manager.wait("READY", "1")

        program.reload("interfaces: 7\n", expect="config.rejected")
        manager.wait("RELOADING", "1")
        refused = manager.wait("READY", "1")
        self.assertEqual(refused["STATUS"], "1 of 1 uplinks up; the config file was refused, line 1")
        config = program.default_config()
        change(config)
        program.reload(config)
        manager.wait("STATUS", "1 of 1 uplinks up")

        program.stop()
        # More than the unit's TimeoutStopSec.
        self.assertEqual(manager.wait("STOPPING", "1")["EXTEND_TIMEOUT_USEC"], "60000000")

    def test_an_abstract_name_and_a_handover(self) -> None:
        manager = self.manage(f"@clatvisor-test-{os.getpid()}")
        program = self.start(env=self.env)
        manager.wait("READY", "1")
        program.stop(signal.SIGUSR2)
        manager.wait("STOPPING", "1")

    def test_children_have_none_of_it(self) -> None:
        self.manage(str(self.lab.scratch / "notify"), WATCHDOG_USEC="400000")
        program = self.start(env=self.env)
        self.assertEqual(Path(f"/proc/{program.wait_clatd('wan0')}/environ").read_bytes(), b"")
        program.stop()

    def test_nonsense_is_said_and_passed_over(self) -> None:
        for variables in ({"NOTIFY_SOCKET": "notify"}, {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "-1"}):
            with self.subTest(variables):
                program = self.start(env=variables)
                failed = program.wait_event("notify.failed")
                self.assertIn([*variables][-1], failed["reason"])
                program.stop()

    def test_a_manager_that_is_gone_stops_nothing(self) -> None:
        program = self.start(env={"NOTIFY_SOCKET": str(self.lab.scratch / "nobody")})
        self.assertEqual(len(program.find("notify.failed")), 1)
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        program.stop()


class SystemdUnit(unittest.TestCase):
    """What the unit does when clatvisor has ended."""

    def after_the_end(self, **variables: str) -> tuple[str, str]:
        """What the command behind ExecStopPost prints, and for how long it sleeps."""
        unit = (ROOT / "config" / "init" / "clatvisor.service").read_text()
        command = re.search(r"^ExecStopPost=(.*)$", unit, re.MULTILINE)[1].replace("$$", "$")
        with tempfile.TemporaryDirectory() as folder:
            slept = Path(folder, "slept")
            sleep = Path(folder, "sleep")
            sleep.write_text(f'#!/bin/sh\necho "$1" > {slept}\n')
            sleep.chmod(0o755)
            done = subprocess.run(
                shlex.split(command), env={"PATH": folder, **variables}, check=True, capture_output=True, text=True
            )
            return done.stdout, slept.read_text().strip() if slept.exists() else ""

    def test_waits_and_says_so_where_it_cannot_work(self) -> None:
        said, slept = self.after_the_end(SERVICE_RESULT="exit-code", EXIT_CODE="exited", EXIT_STATUS="71")
        self.assertIn("cannot work", said)
        self.assertEqual(slept, "10")

    def test_does_not_wait_after_any_other_end(self) -> None:
        for status in ("0", "70", "KILL", ""):
            self.assertEqual(self.after_the_end(EXIT_STATUS=status), ("", ""), status)
        self.assertEqual(self.after_the_end(), ("", ""), "it never started")
