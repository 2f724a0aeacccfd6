"""Classic BPF (linux/filter.h) on struct seccomp_data (linux/seccomp.h): what a program under test may not call."""

from __future__ import annotations

import ctypes
import os
import struct

LOAD, IS_EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, ARCHITECTURE = 0, 4
ALLOW, FAIL = 0x7FFF0000, 0x00050000  # FAIL takes an errno besides
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

Program = list[tuple[int, int, int, int]]  # code, jump if true, jump if false, operand


def argument(index: int) -> int:
    """The lower half of it, on a little-endian machine."""
    return 16 + 8 * index


def install(program: Program) -> None:
    """For this process and what it becomes."""
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    filter_ = struct.pack("@HP", len(program), ctypes.addressof(instructions))  # struct sock_fprog
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
