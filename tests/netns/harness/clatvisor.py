"""The program under test: starts it in the lab's router, reads its log, signals it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .lab import Lab, wait_until

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("CLATVISOR_BIN", ROOT / "build" / "bin"))
# Sanitizers and slow machines stretch every patience, and no requirement that is a multiple of it.
SLOW = float(os.environ.get("CLATVISOR_TEST_SLOW", "1"))
# At the exit the leak sanitizer stops the process as a debugger does: under strace it fails, in a storm of signals it
# takes for ever.
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}


@dataclass(frozen=True)
class Event:
    name: str
    iface: str
    fields: dict[str, str]
    at: float  # time.monotonic() when the line was read
    line: str

    def __getitem__(self, key: str) -> str:
        return self.fields[key]


def parse_logfmt(line: str) -> dict[str, str]:
    """Raises ValueError on anything that is not key=value pairs separated by single spaces."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(line):
        equals = line.index("=", at)
        key = line[at:equals]
        if not key or any(c.isspace() or c == '"' for c in key) or key in fields:
            raise ValueError(f"bad key {key!r}")
        at = equals + 1
        value = ""
        if line[at : at + 1] == '"':
            at += 1
            while line[at] != '"':
                if line[at] != "\\":
                    value += line[at]
                elif line[at + 1] == "x":
                    value += chr(int(line[at + 2 : at + 4], 16))
                    at += 3
                else:
                    value += {"n": "\n", "t": "\t"}.get(line[at + 1], line[at + 1])
                    at += 1
                at += 1
            at += 1
        else:
            end = line.find(" ", at)
            end = len(line) if end < 0 else end
            value, at = line[at:end], end
        fields[key] = value
        if at < len(line):
            if line[at] != " ":
                raise ValueError(f"garbage after {key}")
            at += 1
    return fields


def to_yaml(value: dict, indent: int = 0) -> str:
    pad = "  " * indent
    text = ""
    for key, item in value.items():
        if isinstance(item, dict):
            text += f"{pad}{key}:\n{to_yaml(item, indent + 1)}" if item else f"{pad}{key}: {{}}\n"
        else:
            text += f"{pad}{key}: {str(item).lower() if isinstance(item, bool) else item}\n"
    return text


def children_of(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def cmdline(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def open_fds(pid: int) -> dict[int, str]:
    found = {}
    folder = f"/proc/{pid}/fd"
    for fd in os.listdir(folder):
        with contextlib.suppress(OSError):
            found[int(fd)] = os.readlink(f"{folder}/{fd}")
    return found


def own_memory(pid: int) -> int:
    """KiB, without pages of files: those are private or shared, clean or dirty, by what others do with the same file."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous: +(\d+) kB", text, re.MULTILINE)[1])


def cpu_time(pid: int) -> float:
    """Seconds that this process has run, to the nanosecond; a process of one thread."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class Clatvisor:
    def __init__(
        self, lab: Lab, config: dict | str | None = None, *, wrap: Sequence[str] = (), env: dict[str, str] | None = None,
        binary: Path = BIN / "clatvisor",
    ) -> None:  # fmt: skip
        """`wrap`: a command line that execs, or runs as its only child, what follows it (setpriv, unshare, strace…)."""
        self.lab = lab
        self.folder = lab.scratch
        self.config_file = self.folder / "clatvisor.yaml"
        self.state_dir = self.folder / "state"
        self.bpf_dir = lab.bpffs / "clatvisor"
        self.log_file = self.folder / "clatvisor.log"  # a copy of its stderr
        self.events: list[Event] = []
        self.garbage: list[str] = []  # stderr lines that are not log lines
        self.wrap = list(wrap)
        self._binary = binary
        self._env = {**os.environ, **(env or {})}
        self._changed = threading.Condition()
        self._eof = False
        self.process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None
        self.write_config(config if config is not None else self.default_config())
        lab.on_close(self.kill)

    def default_config(self, **interfaces: dict) -> dict:
        """All uplinks of the lab; keyword arguments add keys to an interface."""
        return {
            "interfaces": {
                uplink.name: {"nat64-prefix": uplink.prefix, **interfaces.get(uplink.name, {})}
                for uplink in self.lab.uplinks
            },
            "state-dir": self.state_dir,
            "bpf-dir": self.bpf_dir,
            "control-socket": self.folder / "control.sock",
        }

    def write_config(self, config: dict | str) -> None:
        # Whole at any moment: a program that is starting may just read it.
        new = self.config_file.with_suffix(".new")
        new.write_text(config if isinstance(config, str) else to_yaml(config))
        new.replace(self.config_file)

    def start(self) -> Clatvisor:
        if self._reader:
            self._reader.join(5)  # the end of the run before is told by it
        self._eof = False
        self.process = self.lab.router.popen(
            *self.wrap, str(self._binary), "--config", str(self.config_file),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace", env=self._env,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        return self

    def _read(self, pipe) -> None:
        log = self.log_file.open("a", buffering=1)
        for line in pipe:
            now = time.monotonic()
            log.write(line)
            line = line.rstrip("\n")
            try:
                fields = parse_logfmt(line)
                event = Event(fields["event"], fields.get("iface", ""), fields, now, line)
                _ = fields["ts"], fields["level"]
            except (ValueError, KeyError, IndexError):
                event = None
            with self._changed:
                if event:
                    self.events.append(event)
                else:
                    self.garbage.append(line)
                self._changed.notify_all()
        with self._changed:
            self._eof = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """Of clatvisor itself, also behind a wrapper that forks."""
        assert self.process
        pid = self.process.pid
        end = time.monotonic() + 5 * SLOW
        while not (cmdline(pid) or [""])[0].endswith("/clatvisor"):
            below = children_of(pid)
            if below:
                pid = below[0]
            elif time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"clatvisor does not run: {self.tail()}")
            else:
                time.sleep(0.01)
        return pid

    def mark(self) -> int:
        """For `since`: only what is logged from now on."""
        with self._changed:
            return len(self.events)

    def tail(self, lines: int = 30) -> str:
        with self._changed:
            return "\n".join([*(event.line for event in self.events[-lines:]), *self.garbage[-lines:]])

    def find(self, name: str, iface: str | None = None, since: int = 0, **fields: str) -> list[Event]:
        with self._changed:
            return self._find(name, iface, since, fields)

    def wait_event(
        self, name: str, iface: str | None = None, *, since: int = 0, timeout: float = 10, count: int = 1, **fields: str
    ) -> Event:
        """The count-th such event of the log after `since`."""
        end = time.monotonic() + timeout * SLOW
        with self._changed:
            while True:
                found = self._find(name, iface, since, fields)
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0 or self._eof:
                    why = "the program ended" if self._eof else f"not within {timeout * SLOW} s"
                    lines = "\n".join([*(e.line for e in self.events[-40:]), *self.garbage[-40:]])
                    raise AssertionError(f"{why}: event {name} iface={iface} {fields}; the log ends:\n{lines}")
                self._changed.wait(left)

    def _find(self, name: str, iface: str | None, since: int, fields: dict[str, str]) -> list[Event]:
        return [
            event
            for event in self.events[since:]
            if event.name == name
            and iface in (None, event.iface)
            and all(event.fields.get(key) == want for key, want in fields.items())
        ]

    def wait_up(self, *interfaces: str, since: int = 0, timeout: float = 15) -> None:
        """IPv4 gets through on these interfaces, and a child reads packets."""
        for iface in interfaces or [uplink.name for uplink in self.lab.uplinks]:
            self.wait_event("clat.up", iface, since=since, timeout=timeout)
            self.wait_event("clat.ready", iface, since=since, timeout=timeout)

    def clatd_pid(self, iface: str) -> int | None:
        """As the kernel tells it, not the log."""
        for child in children_of(self.pid):
            if cmdline(child)[:1] == [f"clatd-{iface}"]:
                return child
        return None

    def wait_clatd(self, iface: str, *, other_than: int | None = None, timeout: float = 10) -> int:
        def pid() -> int | None:
            found = self.clatd_pid(iface)
            return found if found != other_than else None

        return wait_until(pid, timeout * SLOW, f"clatd-{iface} runs")

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def reload(self, config: dict | str | None = None, *, expect: str = "config.loaded") -> Event:
        since = self.mark()
        if config is not None:
            self.write_config(config)
        self.send_signal(signal.SIGHUP)
        return self.wait_event(expect, since=since)

    def wait_exit(self, timeout: float = 10) -> int:
        assert self.process
        try:
            code = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout * SLOW} s; the log ends:\n{self.tail()}") from None
        with self._changed:
            self._changed.wait_for(lambda: self._eof, 5)
        return code

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10) -> float:
        """Seconds a clean stop took; anything but exit 0 and a clean stderr raises."""
        begin = time.monotonic()
        self.send_signal(number)
        code = self.wait_exit(timeout)
        took = time.monotonic() - begin
        if code != 0 or self.garbage:
            raise AssertionError(f"exit {code}; the log ends:\n{self.tail()}")
        return took

    def kill(self) -> None:
        """For cleaning up only; children die with their supervisor."""
        if self.process and self.process.poll() is None:
            with contextlib.suppress(OSError, AssertionError):
                os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()


def run_to_exit(lab: Lab, *argv: str, wrap: Sequence[str] = (), timeout: float = 20) -> subprocess.CompletedProcess:
    """clatvisor with these arguments in the router, for runs that end by themselves."""
    return subprocess.run(
        lab.router.command(*wrap, str(BIN / "clatvisor"), *argv),
        text=True, errors="replace", capture_output=True, timeout=timeout * SLOW, stdin=subprocess.DEVNULL,
    )  # fmt: skip
