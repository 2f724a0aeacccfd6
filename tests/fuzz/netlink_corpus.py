"""Writes what this kernel says of its links, addresses, routes, neighbours and qdiscs as seeds: netlink_corpus.py FOLDER."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

NLM_F_REQUEST_DUMP = 0x301
NLMSG_ERROR, NLMSG_DONE = 2, 3
DUMPS = {"link": 18, "addr": 22, "route": 26, "neigh": 30, "qdisc": 38}
MOST = 40


def dump(kind: int) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(5)
        kernel.send(struct.pack("=IHHII20x", 36, kind, NLM_F_REQUEST_DUMP, 1, 0))
        while True:
            datagram = kernel.recv(65536)
            while datagram:
                size, answer = struct.unpack_from("=IH", datagram)
                yield datagram[:size]
                if answer in (NLMSG_ERROR, NLMSG_DONE):
                    return
                datagram = datagram[(size + 3) & ~3 :]


def main(folder: Path) -> None:
    for name, kind in DUMPS.items():
        for number, message in zip(range(MOST), dump(kind)):
            (folder / f"{name}-{number}").write_bytes(message)


main(Path(sys.argv[1]))
