"""What a namespace holds, told by the kernel and its own tools: for "as before the start"."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
from pathlib import Path

from .namespace import Namespace

_libc = ctypes.CDLL(None, use_errno=True)
_SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_BPF_PROG_QUERY = 16
_TCX = {"ingress": 46, "egress": 47}


class _Query(ctypes.Structure):  # union bpf_attr, query
    _fields_ = [
        ("target_ifindex", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("prog_ids", ctypes.c_uint64),
        ("count", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("prog_attach_flags", ctypes.c_uint64),
        ("link_ids", ctypes.c_uint64),
        ("link_attach_flags", ctypes.c_uint64),
        ("revision", ctypes.c_uint64),
        ("unused", ctypes.c_uint64 * 8),
    ]


def tcx(namespace: Namespace, link: str) -> dict[str, list[tuple[int, int]]]:
    """(program id, link id) per direction; empty where the kernel has no TCX. bpftool 7.1 does not know TCX."""
    found = {}
    with namespace.entered():
        index = namespace.link_index(link) or 0
        for direction, kind in _TCX.items():
            programs, links = (ctypes.c_uint32 * 64)(), (ctypes.c_uint32 * 64)()
            query = _Query(target_ifindex=index, attach_type=kind, count=64)
            query.prog_ids, query.link_ids = ctypes.addressof(programs), ctypes.addressof(links)
            if _libc.syscall(_SYS_BPF, _BPF_PROG_QUERY, ctypes.byref(query), ctypes.sizeof(query)) == 0 and query.count:
                found[direction] = [(programs[i], links[i]) for i in range(query.count)]
    return found


def filters(namespace: Namespace, link: str) -> dict[str, list[str]]:
    found = {}
    for direction in ("ingress", "egress"):
        text = namespace.run("tc", "-j", "filter", "show", "dev", link, direction, check=False)
        if text.strip() not in ("", "[]"):
            found[direction] = [json.dumps(f, sort_keys=True) for f in json.loads(text)]
    return found


def programs(namespace: Namespace, link: str) -> dict[str, list[int]]:
    """Ids of the BPF programs on a link, however attached."""
    found = {direction: [program for program, _ in ids] for direction, ids in tcx(namespace, link).items()}
    for direction, lines in filters(namespace, link).items():
        ids = [json.loads(line).get("options", {}).get("prog", {}).get("id") for line in lines]
        found.setdefault(direction, []).extend(i for i in ids if i)
    return found


def program_exists(program: int) -> bool:
    return subprocess.run(["bpftool", "prog", "show", "id", str(program)], capture_output=True).returncode == 0


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def take(namespace: Namespace, bpffs: Path, *, processes: bool = True) -> dict[str, object]:
    """Comparable with ==. Neighbour caches aside (they live their own life), proxy entries included."""
    links = namespace.ip_json("-d", "link", "show")
    shot: dict[str, object] = {
        "links": {
            link["ifname"]: {key: link.get(key) for key in ("ifindex", "mtu", "address", "operstate", "inet6_addr_gen_mode",
                             "gso_max_size", "gso_ipv4_max_size", "gro_ipv4_max_size", "gro_max_size")}
            | {"flags": sorted(link["flags"])}
            for link in links
        },
        "addresses": sorted(namespace.run("ip", "-o", "address", "show").splitlines()),
        "routes4": sorted(namespace.run("ip", "-4", "route", "show", "table", "all").splitlines()),
        "routes6": sorted(namespace.run("ip", "-6", "route", "show", "table", "all").splitlines()),
        "rules": namespace.run("ip", "rule", "show") + namespace.run("ip", "-6", "rule", "show"),
        "proxy": sorted(namespace.run("ip", "-6", "neigh", "show", "proxy").splitlines()),
        "anycast": sorted(namespace.run("cat", "/proc/thread-self/net/anycast6").splitlines()),
        "qdiscs": sorted(namespace.run("tc", "qdisc", "show").splitlines()),
        "filters": {link["ifname"]: filters(namespace, link["ifname"]) for link in links},
        "tcx": {link["ifname"]: tcx(namespace, link["ifname"]) for link in links},
        "nftables": namespace.run("nft", "-s", "list", "ruleset", check=False),
        "bpffs": files_below(bpffs),
        "sysctls": _sysctls(namespace),
    }  # fmt: skip
    if processes:
        shot["processes"] = [(pid, _name(pid)) for pid in namespace.pids()]
    return shot


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"


def _sysctls(namespace: Namespace) -> dict[str, str]:
    found = {}
    with namespace.entered():
        for family in ("ipv4", "ipv6"):
            for group in ("conf", "neigh"):
                for folder in sorted(Path(f"/proc/sys/net/{family}/{group}").iterdir()):
                    for key in sorted(os.listdir(folder)):
                        try:
                            found[f"{family}/{group}/{folder.name}/{key}"] = (folder / key).read_text().strip()
                        except OSError:
                            continue
    return found


def differences(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Readable; empty when equal."""
    lines = []
    for key in sorted(set(before) | set(after)):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            for name in sorted(set(old) | set(new)):
                if old.get(name) != new.get(name):
                    lines.append(f"{key} {name}: {old.get(name)!r} -> {new.get(name)!r}")
        elif isinstance(old, list) and isinstance(new, list):
            lines += [f"{key}: gone: {item}" for item in old if item not in new]
            lines += [f"{key}: left: {item}" for item in new if item not in old]
        else:
            lines.append(f"{key}: {old!r} -> {new!r}")
    return lines


def open_files(pid: int) -> list[str]:
    """Kinds of a process's descriptors, without the inode numbers that differ each time."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}").split("[")[0])
        except OSError:
            continue
    return sorted(found)
