"""Runs a command on a kernel as if it were older than Linux 6.6: without_tcx.py COMMAND…

Nothing can make a BPF link, so the fast path attaches by clsact.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_LINK_CREATE = 28
# Classic BPF (linux/filter.h) on struct seccomp_data (linux/seccomp.h).
LOAD, IS_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, FIRST_ARGUMENT = 0, 16
ALLOW, FAIL = 0x7FFF0000, 0x00050000
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

PROGRAM = (
    (LOAD, 0, 0, NUMBER),
    (IS_EQUAL, 0, 3, SYS_BPF),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (IS_EQUAL, 0, 1, BPF_LINK_CREATE),
    (RETURN, 0, 0, FAIL | errno.EINVAL),
    (RETURN, 0, 0, ALLOW),
)


def main() -> None:
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in PROGRAM))
    program = struct.pack("@HP", len(PROGRAM), ctypes.addressof(instructions))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    os.execvp(sys.argv[1], sys.argv[1:])


main()
