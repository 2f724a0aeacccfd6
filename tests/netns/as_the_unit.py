"""Runs a command as config/init/clatvisor.service confines it: as_the_unit.py WRITABLE COMMAND…

WRITABLE is a folder in place of /run/clatvisor and /sys/fs/bpf. What the unit says is read from it and done by the same
means as systemd's. Directives that this does not know are an error; those that change nothing here are named below.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.seccomp import ALLOW, ANY_BIT, ARCHITECTURE, FAIL, IS_EQUAL, LOAD, NUMBER, RETURN, Program, argument, install

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "config" / "init" / "clatvisor.service"

# The manager's own business, and what would hide the test's folders or is implied by the list of system calls.
NOT_HERE = {
    "Type", "NotifyAccess", "WatchdogSec", "ExecStart", "ExecReload", "ExecStopPost", "Restart", "RestartSec",
    "RestartPreventExitStatus", "KillMode", "TimeoutStopSec", "RuntimeDirectory", "RuntimeDirectoryMode",
    "RuntimeDirectoryPreserve", "LimitMEMLOCK", "DevicePolicy", "DeviceAllow", "ReadWritePaths", "ProtectHome", "PrivateTmp",
    "PrivateMounts", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
    "LockPersonality", "RestrictRealtime", "RestrictSUIDSGID", "SystemCallErrorNumber",
}  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)
SYS_MOUNT_SETATTR = 442
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_BIND, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x20000, 0x4000, 1 << 18, 0x1000, 2, 4, 8
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAPABILITIES = {
    "CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13,
    "CAP_PERFMON": 38, "CAP_BPF": 39,
}  # fmt: skip
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16, "AF_PACKET": 17}
NAMESPACES = 0x7E020000 | 0x80  # CLONE_NEW*
PROT_WRITE, PROT_EXEC = 2, 4


def check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def directives() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    section = UNIT.read_text().split("[Service]")[1].split("[Install]")[0]
    for key, value in re.findall(r"^(\w+)=(.*)$", section, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


# Files and /proc.


def read_only(path: str, on: bool) -> None:
    attributes = struct.pack("=QQQQ", *((MOUNT_ATTR_RDONLY, 0) if on else (0, MOUNT_ATTR_RDONLY)), 0, 0)
    check(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path.encode(), AT_RECURSIVE, attributes, len(attributes)), path)


def protect_system(how: str, writable: str) -> None:
    assert how == "strict", how
    check(libc.mount(writable.encode(), writable.encode(), None, MS_BIND | MS_REC, None), writable)
    read_only("/", True)
    for path in ("/proc", "/sys", "/dev", writable):
        read_only(path, False)


def protect_proc(how: str) -> None:
    check(libc.mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"hidepid={how}".encode()), "/proc")


# System calls.

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[platform.machine()]


def system_call_numbers() -> dict[str, int]:
    text = subprocess.run(
        ["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", os.devnull], check=True, capture_output=True, text=True
    ).stdout
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.MULTILINE)}


def members(name: str) -> Iterator[str]:
    """The system calls behind @name, as this machine's systemd lists them."""
    if not name.startswith("@"):
        yield name
        return
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines()[1:]:
        line = line.strip()
        if line and not line.startswith("#"):
            yield from members(line)


def allow_only(lists: list[str], numbers: dict[str, int]) -> Program:
    allowed = set(members("@default"))  # always there
    for one in lists:
        named = {call for name in one.removeprefix("~").split() for call in members(name)}
        allowed = allowed - named if one.startswith("~") else allowed | named
    program: Program = [(LOAD, 0, 0, NUMBER)]
    for number in sorted(numbers[call] for call in allowed if call in numbers):
        program += [(IS_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    return [*program, (RETURN, 0, 0, FAIL | errno.EPERM)]


def native_only() -> Program:
    return [(LOAD, 0, 0, ARCHITECTURE), (IS_EQUAL, 1, 0, AUDIT_ARCH), (RETURN, 0, 0, FAIL | errno.EPERM), (RETURN, 0, 0, ALLOW)]


def refuse_bits(number: int, index: int, bits: int) -> Program:
    """EPERM for this call with any of these bits in that argument."""
    return [
        (LOAD, 0, 0, NUMBER), (IS_EQUAL, 0, 3, number), (LOAD, 0, 0, argument(index)), (ANY_BIT, 0, 1, bits),
        (RETURN, 0, 0, FAIL | errno.EPERM), (RETURN, 0, 0, ALLOW),
    ]  # fmt: skip


def refuse(number: int, code: int) -> Program:
    return [(LOAD, 0, 0, NUMBER), (IS_EQUAL, 0, 1, number), (RETURN, 0, 0, FAIL | code), (RETURN, 0, 0, ALLOW)]


def no_writable_code(numbers: dict[str, int]) -> list[Program]:
    mmap = numbers["mmap"]
    both: Program = [
        (LOAD, 0, 0, NUMBER), (IS_EQUAL, 0, 4, mmap), (LOAD, 0, 0, argument(2)), (ANY_BIT, 0, 2, PROT_WRITE),
        (ANY_BIT, 0, 1, PROT_EXEC), (RETURN, 0, 0, FAIL | errno.EPERM), (RETURN, 0, 0, ALLOW),
    ]  # fmt: skip
    return [both, refuse_bits(numbers["mprotect"], 2, PROT_EXEC), refuse_bits(numbers["pkey_mprotect"], 2, PROT_EXEC)]


def no_namespaces(numbers: dict[str, int]) -> list[Program]:
    # The flags of clone3() are behind a pointer; libc goes on with clone().
    return [
        refuse_bits(numbers["clone"], 0, NAMESPACES), refuse_bits(numbers["unshare"], 0, NAMESPACES),
        refuse(numbers["setns"], errno.EPERM), refuse(numbers["clone3"], errno.ENOSYS),
    ]  # fmt: skip


def families_only(names: list[str], numbers: dict[str, int]) -> Program:
    allowed = [FAMILIES[name] for name in names]
    # socket() alone goes on to the families.
    program: Program = [(LOAD, 0, 0, NUMBER), (IS_EQUAL, 1, 0, numbers["socket"]), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, argument(0))]
    for family in allowed:
        program += [(IS_EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    return [*program, (RETURN, 0, 0, FAIL | errno.EAFNOSUPPORT)]


def keep_capabilities(names: list[str]) -> None:
    kept = {CAPABILITIES[name] for name in names}
    for number in range(64):
        if number not in kept and libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            return  # there is no further one


def main() -> None:
    unit = directives()
    unknown = unit.keys() - NOT_HERE - {
        "CapabilityBoundingSet", "NoNewPrivileges", "UMask", "ProtectSystem", "ProtectProc", "MemoryDenyWriteExecute",
        "RestrictAddressFamilies", "RestrictNamespaces", "SystemCallArchitectures", "SystemCallFilter",
    }  # fmt: skip
    if unknown:
        sys.exit(f"as_the_unit.py does not know {sorted(unknown)}")

    numbers = system_call_numbers()
    programs = [
        allow_only(unit["SystemCallFilter"], numbers), native_only(), families_only(unit["RestrictAddressFamilies"][0].split(), numbers),
        *no_writable_code(numbers), *no_namespaces(numbers),
    ]  # fmt: skip
    check(libc.unshare(CLONE_NEWNS), "unshare")
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    protect_system(unit["ProtectSystem"][0], sys.argv[1])
    protect_proc(unit["ProtectProc"][0])
    os.umask(int(unit["UMask"][0], 8))
    keep_capabilities(unit["CapabilityBoundingSet"][0].split())
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    # The list of calls comes last: it need not leave those that install it.
    for program in reversed(programs):
        install(program)
    os.execvp(sys.argv[2], sys.argv[2:])


main()
