"""Runs a command on a kernel as if it were older than Linux 6.6: without_tcx.py COMMAND…

Nothing can make a BPF link, so the fast path attaches by clsact.
"""

from __future__ import annotations

import errno
import os
import platform
import sys

from harness.seccomp import ALLOW, FAIL, IS_EQUAL, LOAD, NUMBER, RETURN, argument, install

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_LINK_CREATE = 28

PROGRAM = [
    (LOAD, 0, 0, NUMBER),
    (IS_EQUAL, 0, 3, SYS_BPF),
    (LOAD, 0, 0, argument(0)),
    (IS_EQUAL, 0, 1, BPF_LINK_CREATE),
    (RETURN, 0, 0, FAIL | errno.EINVAL),
    (RETURN, 0, 0, ALLOW),
]


def main() -> None:
    install(PROGRAM)
    os.execvp(sys.argv[1], sys.argv[1:])


main()
