"""One network namespace: commands, sockets and sysctls in it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from . import names

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def _setns(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"setns: {os.strerror(errno)}")


class CommandFailed(AssertionError):
    pass


class Namespace:
    def __init__(self, name: str) -> None:
        self.name = name
        self.path = names.NETNS_DIR / name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.ip("link set lo up")

    def close(self) -> None:
        names.delete_netns(self.name)

    def command(self, *argv: str) -> list[str]:
        # Not "ip netns exec": it mounts a private /sys, under which bpffs pins vanish.
        return ["nsenter", f"--net={self.path}", "--", *argv]

    def run(self, *argv: str, input: str | None = None, check: bool = True, timeout: float = 60) -> str:
        done = subprocess.run(self.command(*argv), input=input, text=True, capture_output=True, timeout=timeout)
        if check and done.returncode != 0:
            raise CommandFailed(f"in {self.name}: {' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def popen(self, *argv: str, **options) -> subprocess.Popen:
        return subprocess.Popen(self.command(*argv), **options)

    def ip(self, *lines: str) -> None:
        """Lines for ip -batch; the first that fails raises."""
        self.run("ip", "-batch", "-", input="\n".join(lines) + "\n")

    def ip_json(self, *argv: str) -> list[dict]:
        return json.loads(self.run("ip", "-j", *argv) or "[]")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread inside the namespace: sockets opened here stay in it."""
        own = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
            try:
                yield
            finally:
                _setns(own)
        finally:
            os.close(there)
            os.close(own)

    def socket(self, family: int, kind: int, proto: int = 0, device: str | None = None) -> socket.socket:
        with self.entered():
            sock = socket.socket(family, kind, proto)
        if device:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        return sock

    def sysctl(self, key: str, value: object | None = None) -> str:
        """Reads, or sets, e.g. net/ipv6/conf/all/forwarding (slashes: interface names may hold dots)."""
        # /proc/sys/net shows the namespace of the thread that opens the file.
        with self.entered():
            path = Path("/proc/sys") / key
            if value is not None:
                path.write_text(str(value))
            return path.read_text().strip()

    def link_index(self, link: str) -> int | None:
        with self.entered():
            try:
                return socket.if_nametoindex(link)
            except OSError:
                return None

    def pids(self) -> list[int]:
        return names.pids_in(self.path)
