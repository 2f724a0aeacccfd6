"""Writes what this kernel says of its links, addresses, routes, neighbours, qdiscs, filters and nftables as seeds:

netlink_corpus.py FOLDER
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "netns"))
from harness import iptables_nft  # noqa: E402  (after the path)

NLM_F_REQUEST_DUMP = 0x301
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_GETTFILTER = 46
DUMPS = {"link": 18, "addr": 22, "route": 26, "neigh": 30, "qdisc": 38}
NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES = 12, 10 << 8
NFT_DUMPS = {"chain": NFNL_SUBSYS_NFTABLES | 4, "rule": NFNL_SUBSYS_NFTABLES | 7, "set": NFNL_SUBSYS_NFTABLES | 10}
NFT_GETSETELEM, NFPROTO_INET = NFNL_SUBSYS_NFTABLES | 13, 1
CLONE_NEWNET = 0x40000000
RULES = """table inet t {
chain some { ip6 daddr ::1 accept; return; }
chain f { type filter hook forward priority 0; policy drop; iifname "v4-*" ct state established,related accept
meta nfproto ipv6 oif lo jump some; tcp dport { 22, 80 } counter log limit rate 1/second reject; iifname vmap { "a" : goto some };
ct state vmap { established : accept, invalid : drop } meta l4proto { tcp, udp } ct status dnat accept
}
}"""
XTABLES = """*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD ! -i lan0 -p icmp --icmp-type 8 -m comment --comment some -j REJECT
COMMIT
"""
SETS = ("__set0", "__set1", "__map0", "__map1")
LO, INGRESS = 1, 0xFFFFFFF2  # TC_H_CLSACT, TC_H_MIN_INGRESS
FILTERS = ("u32 match u32 0 0 action mirred egress redirect dev lo", "u32 match ip6 dst ::1 flowid 1:1", "matchall action pass",
           "flower ip_proto udp action drop", "bpf bytecode 1,6 0 0 0")  # fmt: skip
MOST = 40


def dump(kind: int, family: int = socket.NETLINK_ROUTE, body: bytes = bytes(20)) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family) as kernel:
        kernel.settimeout(5)
        kernel.send(struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST_DUMP, 1, 0) + body)
        while True:
            datagram = kernel.recv(65536)
            while datagram:
                size, answer = struct.unpack_from("=IH", datagram)
                yield datagram[:size]
                if answer in (NLMSG_ERROR, NLMSG_DONE):
                    return
                datagram = datagram[(size + 3) & ~3 :]


def attribute(kind: int, text: str) -> bytes:
    payload = text.encode() + b"\0"
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def main(folder: Path) -> None:
    def write(name: str, messages: Iterator[bytes]) -> None:
        for number, message in zip(range(MOST), messages):
            (folder / f"{name}-{number}").write_bytes(message)

    for name, kind in DUMPS.items():
        write(name, dump(kind))
    # Rules and filters of our own, in a network namespace of our own.
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0:
        subprocess.run("tc qdisc add dev lo clsact".split(), check=True)
        for match in FILTERS:  # those that this kernel has
            subprocess.run(f"tc filter add dev lo ingress protocol all {match}".split(), stderr=subprocess.DEVNULL)
        write("filter", dump(RTM_GETTFILTER, body=struct.pack("=iiIII", 0, LO, 0, INGRESS, 0)))
        subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
        iptables_nft.restore(SimpleNamespace(entered=contextlib.nullcontext), XTABLES)
        for name, kind in NFT_DUMPS.items():
            write(name, dump(kind, NETLINK_NETFILTER))
        for name in SETS:
            body = struct.pack("=BBH", NFPROTO_INET, 0, 0) + attribute(1, "t") + attribute(2, name)
            write(f"elements-{name}", dump(NFT_GETSETELEM, NETLINK_NETFILTER, body))


main(Path(sys.argv[1]))
