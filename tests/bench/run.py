#!/usr/bin/env python3
"""The figures: throughput against native IPv6 over the same veth in the same run, wake-ups, memory, sizes.

    tests/bench/run.py [--rounds 5] [--seconds 3] [--idle 60] [--check]

--check exits 1 when a figure misses what the project promises. Needs root and a Release build (BUILD_DIR, default build/).
The far end of the uplink serves natively at <NAT64 prefix>::<IPv4>: what is measured is one translation, not a NAT64.
The bare program (bare.bpf.c) shows how much of the fast path's cost is the kernel's own.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD_DIR", ROOT / "build"))
os.environ.setdefault("CLATVISOR_BIN", str(BUILD / "bin"))
os.environ["PATH"] += ":/usr/sbin:/sbin"
sys.path.insert(0, str(ROOT / "tests" / "netns"))
sys.dont_write_bytecode = True

from harness.clatvisor import BIN, Clatvisor  # noqa: E402  (after the path)
from harness.lab import WAN0, Lab, exit_on_signals, start_tayga, stop_process  # noqa: E402

NATIVE, FAST, OFF, TAYGA, BARE = "native IPv6", "fast path", "fast-path: off", "TAYGA as CLAT", "bare program"
DOWN, UP, PACKETS = "download", "upload", "64-byte UDP"


@dataclass
class Path_:
    """One way from a client to a server."""

    lab: Lab
    host: str
    carries: tuple[str, ...] = (DOWN, UP, PACKETS)


def listen(lab: Lab) -> None:
    server = lab.plat.popen(
        "iperf3", "-s", "--forceflush", "-B", WAN0.embed(Lab.direct_v4),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    lab.on_close(lambda: stop_process(server))
    for line in server.stdout:
        if "listening" in line:
            return


def with_clatvisor(stack: contextlib.ExitStack, fast_path: str) -> tuple[Lab, Clatvisor]:
    lab = stack.enter_context(Lab((WAN0,), nat64=False))
    lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
    program = Clatvisor(lab)
    program.write_config(program.default_config(wan0={"fast-path": fast_path}))
    program.start().wait_up()
    listen(lab)
    return lab, program


def with_bare_program(stack: contextlib.ExitStack) -> Lab:
    """In place of the fast path's on tun egress. It leaves the checksum alone: the CLAT's address is neutral."""
    lab, program = with_clatvisor(stack, "required")
    clat = program.find("address.chosen", "wan0")[-1]["v6"]
    program.kill()
    for pin in (lab.bpffs / "clatvisor").glob("*/link-*-tun-egress"):
        pin.unlink()
    addresses = {"CLAT": clat, "PREFIX": WAN0.prefix.split("/")[0], "NEXT_HOP": WAN0.gateway}
    options = [f"-D{name}=" + ",".join(map(str, ip_address(text).packed)) for name, text in addresses.items()]
    compiled = lab.scratch / "bare.o"
    multiarch = f"/usr/include/{platform.machine()}-linux-gnu"
    clang = ["clang-19", "-O2", "--target=bpf", "-I", multiarch, "-include", "linux/types.h"]
    options.append(f"-DUPLINK={lab.router.link_index('wan0')}")
    subprocess.run([*clang, *options, "-c", ROOT / "tests" / "bench" / "bare.bpf.c", "-o", compiled], check=True)
    lab.router.run("tc", "qdisc", "replace", "dev", WAN0.tun, "clsact")
    lab.router.run("tc", "filter", "add", "dev", WAN0.tun, "egress", "bpf", "da", "obj", str(compiled), "sec", "tc")
    return lab


def with_tayga(stack: contextlib.ExitStack) -> Lab:
    """What people do today: TAYGA in the router, routed."""
    lab = stack.enter_context(Lab((WAN0,), nat64=False))
    conf, data = lab.scratch / "clat.conf", lab.scratch / "clat"
    data.mkdir()
    clat_v6 = f"{WAN0.net}464"
    conf.write_text(
        f"tun-device clat\nipv4-addr 192.0.2.1\nipv6-addr {WAN0.net}64\nprefix {WAN0.prefix}\n"
        f"map 192.0.2.2 {clat_v6}\ndata-dir {data}\n"
    )
    for key in ("all/forwarding", "all/proxy_ndp"):
        lab.router.sysctl(f"net/ipv6/conf/{key}", 1)
    lab.router.sysctl("net/ipv6/neigh/wan0/proxy_delay", 0)
    start_tayga(lab.router, conf, lab.scratch / "clat.log", "clat", lab.on_close)
    lab.router.ip(
        "address add 192.0.2.2/32 dev clat",
        "link set clat mtu 1472",
        "route add default dev clat",
        f"route add {clat_v6}/128 dev clat",
        f"neigh add proxy {clat_v6} dev wan0",
    )
    listen(lab)
    return lab


# Debian's default, named so that every host measures the same: BBR paces itself by its own estimates, leaves the CPUs
# idle between, and then says little about the cost of a path.
CONGESTION_CONTROL = ["-C", "cubic"]


def iperf(path: Path_, *options: str, seconds: int) -> dict:
    options = (*CONGESTION_CONTROL, *options)
    text = path.lab.router.run(
        "iperf3", "-c", path.host, "-t", str(seconds), "-O", "1", "-J", *options, check=False, timeout=seconds + 30
    )
    result = json.loads(text)
    if "error" in result:
        raise AssertionError(f"iperf3 to {path.host}: {result['error']}")
    return result


def measure(path: Path_, what: str, seconds: int) -> float:
    """Gbit/s, or datagrams a second that arrived."""
    if what == PACKETS:
        return datagrams(path, seconds)
    options = ["-R"] if what == DOWN else []
    return iperf(path, *options, seconds=seconds)["end"]["sum_received"]["bits_per_second"] / 1e9


class IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class MessageHeader(ctypes.Structure):  # struct msghdr
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.POINTER(IoVec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [("header", MessageHeader), ("sent", ctypes.c_uint)]


def datagrams(path: Path_, seconds: int, batch: int = 256) -> float:
    """As many as one thread can send, by sendmmsg: iperf3 measures itself at this size."""
    payload = ctypes.create_string_buffer(64)
    vector = IoVec(ctypes.addressof(payload), 64)
    messages = (Message * batch)()
    for message in messages:
        message.header.iov, message.header.iov_length = ctypes.pointer(vector), 1
    libc = ctypes.CDLL(None, use_errno=True)

    far = path.lab.plat.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    near = path.lab.router.socket(socket.AF_INET6 if ":" in path.host else socket.AF_INET, socket.SOCK_DGRAM)
    with far, near:
        # Nobody reads: past a full buffer every arrival is counted as an error of that buffer.
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        far.bind((WAN0.embed(Lab.direct_v4), 5202))
        near.connect((path.host, 5202))
        begin, arrived = time.monotonic(), arrivals(path.lab)
        while time.monotonic() - begin < seconds:
            libc.sendmmsg(near.fileno(), messages, batch, 0)
        return (arrivals(path.lab) - arrived) / (time.monotonic() - begin)


def arrivals(lab: Lab) -> int:
    with lab.plat.entered():
        lines = Path("/proc/thread-self/net/snmp6").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Udp6RcvbufErrors", "Udp6InDatagrams")))


class Throughput:
    """Interleaved rounds: what disturbs the machine disturbs every path, and a ratio is one of neighbours in time."""

    def __init__(self, paths: dict[str, Path_], rounds: int, seconds: int) -> None:
        self.paths = list(paths)
        self._samples: dict[str, dict[str, list[float]]] = {
            what: {name: [] for name, path in paths.items() if what in path.carries} for what in (DOWN, UP, PACKETS)
        }
        for number in range(rounds):
            for what, by_path in self._samples.items():
                for name, samples in by_path.items():
                    samples.append(measure(paths[name], what, seconds))
            print(f"round {number + 1} of {rounds}", file=sys.stderr)

    def median(self, what: str, path: str) -> float:
        return statistics.median(self._samples[what][path])

    def ratio(self, what: str, path: str, to: str) -> float:
        pairs = zip(self._samples[what][path], self._samples[what][to])
        return statistics.median(mine / other for mine, other in pairs)

    def print(self) -> None:
        print(f"{'':14}" + "".join(f"{name:>22}" for name in self.paths))
        for what in self._samples:
            row = f"{what:14}"
            for name in self.paths:
                if name not in self._samples[what]:
                    row += f"{'-':>22}"
                    continue
                value = self.median(what, name)
                shown = f"{value / 1000:.0f} kpps" if what == PACKETS else f"{value:.2f} Gbit/s"
                row += f"{f'{shown} ({self.ratio(what, name, NATIVE):.2f})':>22}"
            print(row)


def context_switches(pid: int) -> int:
    """Voluntary ones of all threads: each is one sleep, ended by one wake-up."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def memory_kib(pid: int, *kinds: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(tuple(f"{kind}:" for kind in kinds)))


def stripped_bytes(program: str, folder: Path) -> int:
    copy = shutil.copy(BIN / program, folder)
    subprocess.run(["strip", copy], check=True)
    return os.stat(copy).st_size


def idle(pids: dict[str, int], seconds: int) -> dict[str, int]:
    before = {name: context_switches(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    return {name: context_switches(pid) - before[name] for name, pid in pids.items()}


@dataclass
class Limit:
    """What the project promises."""

    what: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def kept(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def __str__(self) -> str:
        bound = "at most" if self.at_most else "at least"
        return f"{'ok    ' if self.kept else 'MISSED'} {self.what}: {self.value:.4g}, promised {bound} {self.limit:g}"


def throughput_limits(measured: Throughput) -> list[Limit]:
    limits = []
    for what in (DOWN, UP):
        for name, least in ((FAST, 0.97), (OFF, 0.60)):
            limits.append(Limit(f"{what}, {name}, of native IPv6", measured.ratio(what, name, NATIVE), least))
        limits.append(Limit(f"{what}, {OFF}, times TAYGA", measured.ratio(what, OFF, TAYGA), 6))
    limits.append(Limit(f"{PACKETS}, {FAST}, of native IPv6", measured.ratio(PACKETS, FAST, NATIVE), 0.95))
    limits.append(Limit(f"{PACKETS}, {FAST}, of the bare program", measured.ratio(PACKETS, FAST, BARE), 0.95))
    limits.append(Limit(f"{PACKETS}, {OFF}, times TAYGA", measured.ratio(PACKETS, OFF, TAYGA), 1.3))
    return limits


def idle_limits(wakeups: dict[str, int], seconds: int) -> list[Limit]:
    # Their timers: the audit each 5 s and the health line each 60 s, both with a question to the child and its answer.
    audits, lines = seconds // 5 + 1, seconds // 60 + 1
    timers = {"clatvisor": 2 * (audits + lines), "clatd": audits + lines}
    return [Limit(f"{name} wakes in {seconds} s", count, timers[name], at_most=True) for name, count in wakeups.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=60)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    exit_on_signals()

    with contextlib.ExitStack() as stack:
        fast_lab, program = with_clatvisor(stack, "required")
        off_lab, busy = with_clatvisor(stack, "off")
        tayga_lab = with_tayga(stack)
        bare_lab = with_bare_program(stack)
        v4, v6 = Lab.direct_v4, WAN0.embed(Lab.direct_v4)
        paths = {
            NATIVE: Path_(fast_lab, v6),
            FAST: Path_(fast_lab, v4),
            OFF: Path_(off_lab, v4),
            TAYGA: Path_(tayga_lab, v4),
            BARE: Path_(bare_lab, v4, carries=(PACKETS,)),
        }
        measured = Throughput(paths, arguments.rounds, arguments.seconds)
        print(f"medians of {arguments.rounds} interleaved rounds of {arguments.seconds} s; in brackets, of native IPv6")
        measured.print()

        pids = {"clatvisor": program.pid, "clatd": program.wait_clatd("wan0")}
        wakeups = idle(pids, arguments.idle)
        print("\nproportional set size: " + ", ".join(f"{name} {memory_kib(pid, 'Pss')} KiB" for name, pid in pids.items()))
        worker = busy.wait_clatd("wan0")
        limits = [
            *throughput_limits(measured),
            *idle_limits(wakeups, arguments.idle),
            Limit("clatd, private memory, KiB", memory_kib(worker, "Private_Clean", "Private_Dirty"), 512, at_most=True),
            Limit("clatd, stripped, KiB", stripped_bytes("clatd", fast_lab.scratch) / 1024, 150, at_most=True),
        ]
        for limit in limits:
            print(limit)
        return int(arguments.check and not all(limit.kept for limit in limits))


if __name__ == "__main__":
    sys.exit(main())
