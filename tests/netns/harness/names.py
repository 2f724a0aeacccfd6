"""Names that carry their owner, so that leftovers of a killed run are recognised, and removed by the next run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

NETNS_DIR = Path("/run/netns")
SCRATCH_PARENT = Path("/tmp")
_OWNED = re.compile(r"^cvt-(\d+)-(\d+)-")


def start_time(pid: int) -> int | None:
    """Clock ticks after boot; with the pid it names one process for the life of this boot."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def prefix() -> str:
    return f"cvt-{os.getpid()}-{start_time(os.getpid())}-"


def _orphaned(name: str) -> bool:
    match = _OWNED.match(name)
    return bool(match) and start_time(int(match[1])) != int(match[2])


def pids_in(netns: Path) -> list[int]:
    """Processes whose network namespace is this one, kernel threads and this process aside."""
    try:
        inode = netns.stat().st_ino
    except OSError:
        return []
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                if os.stat(f"/proc/{entry}/ns/net").st_ino == inode:
                    found.append(int(entry))
            except OSError:
                continue
    return sorted(found)


def kill_all_in(netns: Path) -> None:
    """SIGKILL to what runs in a namespace of ours; through pidfds, so that a recycled pid is not hit."""
    fds = []
    for pid in pids_in(netns):
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        if pid in pids_in(netns):
            try:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            except OSError:
                pass
        fds.append(fd)
    import select

    for fd in fds:
        select.select([fd], [], [], 5)
        os.close(fd)


def delete_netns(name: str) -> None:
    path = NETNS_DIR / name
    if path.exists():
        kill_all_in(path)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def delete_scratch(folder: Path) -> None:
    """A run's folder, with the bpffs mounted in it."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        mount = line.split()[1]
        if mount.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def reap_dead_runs() -> None:
    """Removes what runs that were killed left behind. Never touches a run that is alive."""
    if NETNS_DIR.is_dir():
        for name in os.listdir(NETNS_DIR):
            if _orphaned(name):
                delete_netns(name)
    for folder in SCRATCH_PARENT.glob("cvt-*"):
        if _orphaned(folder.name):
            delete_scratch(folder)
