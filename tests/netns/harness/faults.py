"""System calls of clatvisor that fail at the test's word, by tests/faults/faults.c preloaded into it."""

from __future__ import annotations

import errno
import mmap
import os
import struct
import subprocess
from pathlib import Path

from .clatvisor import BIN

LIBRARY = Path(os.environ.get("CLATVISOR_BUILD", BIN.parent)) / "tests" / "faults" / "faults.so"
# struct Control and struct Slot of faults.c.
_HEAD = struct.Struct("=qQ")
_SLOT = struct.Struct("=16sQQQQq")
_MOST_SLOTS = 64


class Faults:
    def __init__(self, folder: Path) -> None:
        assert LIBRARY.exists(), LIBRARY
        self._file = folder / "faults"
        self._file.write_bytes(bytes(_HEAD.size + _MOST_SLOTS * _SLOT.size))
        with self._file.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        # The library writes the names, whatever the program does.
        subprocess.run([str(BIN / "clatvisor"), "--version"], env={**os.environ, **self.env}, check=True, capture_output=True)

    @property
    def env(self) -> dict[str, str]:
        # AddressSanitizer wants to be the first library; it works behind this one, too.
        asan = os.environ.get("ASAN_OPTIONS", "")
        return {
            "LD_PRELOAD": str(LIBRARY),
            "CLATVISOR_FAULTS": str(self._file),
            "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0",
        }

    def _at(self, call: str) -> int:
        for at in range(_HEAD.size, len(self._map), _SLOT.size):
            if self._map[at : at + 16].rstrip(b"\0").decode() == call:
                return at
        raise KeyError(call)

    def names(self) -> list[str]:
        """Of the calls that can fail."""
        names = [self._map[at : at + 16].rstrip(b"\0").decode() for at in range(_HEAD.size, len(self._map), _SLOT.size)]
        return [name for name in names if name]

    def _read(self, call: str, field: int) -> int:
        return struct.unpack_from("=Q", self._map, self._at(call) + 16 + 8 * field)[0]

    def calls(self, call: str) -> int:
        return self._read(call, 0)

    def failed(self, call: str) -> int:
        return self._read(call, 3)

    def arm(self, call: str, after: int, code: int, count: int = 1) -> None:
        """Of the calls from now on, `count` fail after the next `after`."""
        at = self._at(call)
        calls, _, _, failed, _ = struct.unpack_from("=QQQQq", self._map, at + 16)
        # The number last: it is what arms.
        struct.pack_into("=Qq", self._map, at + 16 + 24, 0, code)
        struct.pack_into("=Q", self._map, at + 16 + 16, count)
        struct.pack_into("=Q", self._map, at + 16 + 8, calls + after + 1)

    def disarm(self, call: str) -> None:
        struct.pack_into("=Q", self._map, self._at(call) + 16 + 8, 0)

    def step_wall_clock(self, seconds: int) -> None:
        struct.pack_into("=q", self._map, 0, seconds)

    def shrink_receive_buffers(self, size: int) -> None:
        """Of sockets opened from now on."""
        struct.pack_into("=Q", self._map, 8, size)


def name_of(code: int) -> str:
    return errno.errorcode[code]
