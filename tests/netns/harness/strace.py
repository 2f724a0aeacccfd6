"""What a process asks of the kernel, seen from outside."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def traced(pid: int, path: Path, calls: str = "all", *options: str) -> Iterator[subprocess.Popen]:
    """The system calls that every thread of the process makes inside, a line each, are in `path` behind the with block."""
    argv = ("strace", "-f", "-e", f"trace={calls}", "-e", "signal=none", *options, "-o", str(path), "-p", str(pid))
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as strace:
        try:
            assert "attached" in strace.stderr.readline()
            yield strace
        finally:
            strace.send_signal(signal.SIGINT)
