#!/usr/bin/env python3
"""What a packet of a LAN costs on its way through the router, on one core, beyond what its generator costs.

    tests/bench/lan.py [--rounds 5] [--seconds 2] [--check]

Each figure is µs a packet, and how many times native NAT44 and native IPv6 go into it, over the same veth pairs in the same run. The
generator sends by AF_PACKET past the qdisc, with the headroom that drivers leave; both veth pairs work by NAPI; what arrives is
dropped at the other end's ingress. Each flow is primed in both directions until connection tracking calls it assured.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import itertools
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from run import Limit, Message, IoVec  # noqa: I001  (finds the harness)

from harness import conntrack, ethtool
from harness.clatvisor import Clatvisor
from harness.lab import WAN0, Lab, exit_on_signals, wait_until
from harness.namespace import Namespace
from harness.packet import Ipv4, Ipv6, embedded, udp

PEER = "192.175.48.99"
PEER6 = WAN0.embed(PEER)
NATIVE_V4, NATIVE_GATEWAY = "203.0.113.2", "203.0.113.1"
LAN_V6 = "2001:db8:7::2"
MAPPED = "2001:db8:c1a7:c1a7::/96"
V4, V6 = "192.0.0.4", f"{WAN0.net}c1a7"
PORT = 5000
UP, DOWN = "from the LAN", "to the LAN"
SMALL, LARGE = 64, 1400
MANY = 10_000

IPV6, NAT44, CLAT, CLAT_1TO1, CUT, CUT_1TO1 = (
    "native IPv6", "native NAT44", "masquerade + CLAT", "one to one", "shortcut", "shortcut, one to one",
)  # fmt: skip
_QDISC_BYPASS = 20


def mac(namespace: Namespace, link: str) -> str:
    return namespace.ip_json("link", "show", link)[0]["address"]


def ethernet(to: str, source: str, ethertype: int) -> bytes:
    return bytes.fromhex((to + source).replace(":", "") + f"{ethertype:04x}")


class Blast:
    """Frames, one after the other and again, as fast as one core can."""

    def __init__(self, namespace: Namespace, link: str, frames: list[bytes]) -> None:
        self._sock = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._sock.setsockopt(263, _QDISC_BYPASS, 1)
        self._sock.bind((link, 0))
        count = max(len(frames), 256)
        self._buffers = [ctypes.create_string_buffer(frame, len(frame)) for frame in itertools.islice(itertools.cycle(frames), count)]
        self._vectors = [IoVec(ctypes.addressof(each), len(each)) for each in self._buffers]
        self._messages = (Message * count)()
        for message, vector in zip(self._messages, self._vectors, strict=True):
            message.header.iov, message.header.iov_length = ctypes.pointer(vector), 1
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._count = count

    def once(self) -> int:
        sent = at = 0
        while at < self._count:
            number = min(256, self._count - at)
            done = self._libc.sendmmsg(self._sock.fileno(), ctypes.byref(self._messages, at * ctypes.sizeof(Message)), number, 0)
            sent += max(done, 0)
            at += number
        return sent

    def run(self, seconds: float) -> tuple[int, float]:
        """Packets sent, and the time that this thread had the core: what receives them runs in its name."""
        begin, sent, end = time.thread_time(), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            sent += self.once()
        return sent, time.thread_time() - begin

    def close(self) -> None:
        self._sock.close()


class Bench:
    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.lab = lab = stack.enter_context(Lab((WAN0,), nat64=False, lan=True))
        router, plat, lan = lab.router, lab.plat, lab.lan
        router.run("nft", "delete", "table", "ip", "lab_nat")
        router.sysctl("net/ipv6/conf/all/forwarding", 1)
        # Headroom: a port of a bridge leaves as much as the neediest other port wants.
        for space, link in ((lan, "eth0"), (plat, WAN0.far)):
            space.ip("link add name br0 type bridge", "link add name vx0 type vxlan id 1 dstport 4789", "link set vx0 master br0", f"link set {link} master br0")
        for space, link in ((lan, "eth0"), (router, "lan0"), (router, WAN0.name), (plat, WAN0.far)):
            ethtool.set_features(space, link, tx_tcp_segmentation=False, tx_tcp6_segmentation=False, rx_gro=True)
        self.macs = {name: mac(space, name) for space, name in ((lan, "eth0"), (router, "lan0"), (router, "wan0"), (plat, WAN0.far))}
        router.ip(
            f"neigh replace {lab.lan_host} lladdr {self.macs['eth0']} dev lan0 nud permanent",
            f"address add {NATIVE_V4}/24 dev wan0",
            f"neigh replace {NATIVE_GATEWAY} lladdr {self.macs[WAN0.far]} dev wan0 nud permanent",
            f"neigh replace {WAN0.gateway} lladdr {self.macs[WAN0.far]} dev wan0 nud permanent",
            "address add 2001:db8:7::1/64 dev lan0 nodad",
            f"neigh replace {LAN_V6} lladdr {self.macs['eth0']} dev lan0 nud permanent",
        )
        # A firewall as routers have one.
        router.run("nft", "-f", "-", input=(
            "table inet fw { chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; "
            'iifname "lan0" accept; }; }'
        ))  # fmt: skip
        self.drop = lab.scratch / "sink.o"
        clang = ["clang-19", "-O2", "--target=bpf", "-I", f"/usr/include/{platform.machine()}-linux-gnu", "-include", "linux/types.h"]
        subprocess.run([*clang, "-c", Path(__file__).with_name("sink.bpf.c"), "-o", self.drop], check=True)
        self.sink(plat, WAN0.far)
        self.sink(lan, "eth0")
        self.program: Clatvisor | None = None

    def sink(self, namespace: Namespace, link: str) -> None:
        namespace.run("tc", "qdisc", "add", "dev", link, "clsact")
        namespace.run("tc", "filter", "add", "dev", link, "ingress", "bpf", "da", "obj", str(self.drop), "sec", "tc")

    def arrived(self, way: str) -> int:
        namespace, link = (self.lab.plat, WAN0.far) if way == UP else (self.lab.lan, "eth0")
        return namespace.ip_json("-s", "link", "show", link)[0]["stats64"]["rx"]["packets"]

    def frames(self, kind: str, way: str, size: int, flows: int) -> list[bytes]:
        """`size`: of the IP packet."""
        host = self.lab.lan_host
        made = []
        for i in range(flows):
            port = 20000 + i
            if way == UP:
                if kind == IPV6:
                    packet = Ipv6(LAN_V6, PEER6, 17, udp(LAN_V6, PEER6, (port, PORT), bytes(size - 48)))
                else:
                    packet = Ipv4(host, PEER, 17, udp(host, PEER, (port, PORT), bytes(size - 28)))
                header = ethernet(self.macs["lan0"], self.macs["eth0"], 0x86DD if kind == IPV6 else 0x0800)
            else:
                if kind == NAT44:
                    packet = Ipv4(PEER, NATIVE_V4, 17, udp(PEER, NATIVE_V4, (PORT, port), bytes(size - 28)))
                else:
                    to = {IPV6: LAN_V6, CLAT_1TO1: embedded(MAPPED, host), CUT_1TO1: embedded(MAPPED, host)}.get(kind, V6)
                    packet = Ipv6(PEER6, to, 17, udp(PEER6, to, (PORT, port), bytes(size - 48)))
                header = ethernet(self.macs["wan0"], self.macs[WAN0.far], 0x0800 if kind == NAT44 else 0x86DD)
            made.append(header + bytes(packet))
        return made

    @contextlib.contextmanager
    def setting(self, kind: str) -> Iterator[None]:
        router = self.lab.router
        if kind == IPV6:
            yield
            return
        conntrack.delete(router)
        with contextlib.ExitStack() as stack:
            out = "wan0" if kind == NAT44 else WAN0.tun
            if kind not in (CLAT_1TO1, CUT_1TO1):
                rule = f'table ip nat {{ chain post {{ type nat hook postrouting priority 100; oifname "{out}" masquerade; }}; }}'
                router.run("nft", "-f", "-", input=rule)
                stack.callback(router.run, "nft", "delete", "table", "ip", "nat")
            if kind == NAT44:
                router.ip(f"route add default via {NATIVE_GATEWAY} dev wan0")
                stack.callback(router.ip, f"route del default via {NATIVE_GATEWAY} dev wan0")
            else:
                self.program = program = Clatvisor(self.lab)
                config = program.default_config(wan0={"ipv4-address": V4, "ipv6-address": V6, "when": "always"})
                config["log"] = {"health-interval": "200ms"}
                if kind in (CLAT_1TO1, CUT_1TO1):
                    config["interfaces"]["wan0"].update({"ipv4-source": "192.168.7.0/24", "ipv6-source": MAPPED})
                if kind in (CUT, CUT_1TO1):
                    config["lan"] = {"offload": ["lan0"]}
                program.write_config(config)
                program.start().wait_up()
                stack.callback(program.stop)
            yield

    def prime(self, kind: str, flows: int) -> None:
        """Until each flow is assured, and may take the shortcut where there is one."""
        blasts = [
            Blast(self.lab.lan, "eth0", self.frames(kind, UP, SMALL, flows)),
            Blast(self.lab.plat, WAN0.far, self.frames(kind, DOWN, SMALL, flows)),
        ]

        def both() -> None:
            for blast in blasts:
                blast.once()
            time.sleep(0.1)

        end = time.monotonic() + 4
        while time.monotonic() < end:
            both()
        if kind in (CUT, CUT_1TO1):

            def taken() -> bool:
                both()
                line = self.program.wait_event("health", "wan0", since=self.program.mark(), count=2)
                return int(line.fields["shortcut_flows"]) >= flows

            wait_until(taken, 60, f"{flows} flows may take the shortcut")
            for _ in range(3):
                both()
        for blast in blasts:
            blast.close()

    def cost(self, kind: str, way: str, size: int, flows: int, seconds: float, generator: float) -> float:
        """µs a packet that arrives, beyond the generator's."""
        namespace, link = (self.lab.lan, "eth0") if way == UP else (self.lab.plat, WAN0.far)
        blast = Blast(namespace, link, self.frames(kind, way, size, flows))
        blast.run(0.2)
        before = self.arrived(way)
        sent, took = blast.run(seconds)
        arrived = self.arrived(way) - before
        blast.close()
        if arrived < sent * 0.5:
            raise AssertionError(f"{kind}, {way}, {size} bytes: {arrived} of {sent} arrived")
        return (took - sent * generator) / arrived * 1e6

    def generator(self, way: str, size: int, flows: int, seconds: float) -> float:
        """Seconds a packet that the router drops at once."""
        namespace, link, near = (self.lab.lan, "eth0", "lan0") if way == UP else (self.lab.plat, WAN0.far, "wan0")
        self.sink(self.lab.router, near)
        blast = Blast(namespace, link, self.frames(CLAT, way, size, flows))
        blast.run(0.2)
        sent, took = blast.run(seconds)
        blast.close()
        self.lab.router.run("tc", "qdisc", "del", "dev", near, "clsact")
        return took / sent


@dataclass
class Case:
    way: str
    size: int
    flows: int = 1

    def __str__(self) -> str:
        return f"{self.size} bytes {self.way}" + (f", {self.flows} flows" if self.flows > 1 else "")


CASES = [Case(way, size) for size in (SMALL, LARGE) for way in (UP, DOWN)] + [Case(way, SMALL, MANY) for way in (UP, DOWN)]
KINDS = (IPV6, NAT44, CLAT, CLAT_1TO1, CUT, CUT_1TO1)


def measure(rounds: int, seconds: float) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {str(case): {kind: [] for kind in KINDS} for case in CASES}
    with contextlib.ExitStack() as stack:
        bench = Bench(stack)
        os.sched_setaffinity(0, {0})
        for number in range(rounds):
            generator = {str(case): bench.generator(case.way, case.size, case.flows, 1) for case in CASES}
            for kind in KINDS:
                with bench.setting(kind):
                    for flows in (1, MANY):
                        if flows > 1 and kind not in (CUT, CUT_1TO1):
                            continue
                        bench.prime(kind, flows)
                        for case in CASES:
                            if case.flows == flows:
                                cost = bench.cost(kind, case.way, case.size, flows, seconds, generator[str(case)])
                                found[str(case)][kind].append(cost)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    exit_on_signals()
    found = measure(arguments.rounds, arguments.seconds)

    def of(case: str, kind: str) -> float:
        return statistics.median(found[case][kind])

    print(f"µs a packet beyond the generator, medians of {arguments.rounds}; in brackets: of native NAT44, of native IPv6")
    limits = []
    for case in CASES:
        base = str(Case(case.way, case.size))
        line = f"{case}:"
        for kind in KINDS:
            if not found[str(case)][kind]:
                continue
            cost = of(str(case), kind)
            to_nat44, to_ipv6 = of(base, NAT44) / cost, of(base, IPV6) / cost
            line += f"  {kind} {cost:.2f} ({to_nat44:.2f}, {to_ipv6:.2f})"
            if case.size == SMALL and case.flows == 1:
                least = {CLAT: 0.85, CLAT_1TO1: 1.2, CUT: 1.7, CUT_1TO1: 1.7}.get(kind)
                if least:
                    limits.append(Limit(f"{case}, {kind}, of native NAT44", to_nat44, least))
                if kind in (CUT, CUT_1TO1):
                    limits.append(Limit(f"{case}, {kind}, of native IPv6", to_ipv6, 1.2))
            if case.flows > 1:
                limits.append(Limit(f"{case}, {kind}, times one flow", cost / of(base, kind), 1.1, at_most=True))
        print(line)
    for limit in limits:
        print(limit)
    return int(arguments.check and not all(limit.kept for limit in limits))


if __name__ == "__main__":
    sys.exit(main())
