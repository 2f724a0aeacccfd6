"""A resolver with DNS64, as far as ipv4only.arpa (RFC 7050) goes."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading

from .namespace import Namespace

WELL_KNOWN = ("192.0.0.170", "192.0.0.171")
NAME = b"\x08ipv4only\x04arpa\x00"
AAAA = 28


class Dns64:
    """`prefix` is a /96; none: it says that there is no AAAA record. `silent`: it says nothing."""

    def __init__(self, namespace: Namespace, address: str, prefix: str | None, ttl: int = 600) -> None:
        self.prefix, self.ttl, self.silent = prefix, ttl, False
        self.asked: list[str] = []  # from which addresses
        self._socket = namespace.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._socket.settimeout(0.2)
        self._done = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._done = True
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self._done:
            try:
                query, peer = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            except OSError:
                return
            self.asked.append(peer[0])
            if not self.silent:
                self._socket.sendto(self._answer(query), peer)

    def _records(self) -> list[bytes]:
        if self.prefix is None:
            return []
        base = int(ipaddress.IPv6Network(self.prefix).network_address)
        return [
            ipaddress.IPv6Address(base | int(ipaddress.IPv4Address(address))).packed for address in WELL_KNOWN
        ]

    def _answer(self, query: bytes) -> bytes:
        question = query[12 : 12 + len(NAME) + 4]
        records = self._records()
        header = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0)
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", AAAA, 1, self.ttl, 16) + data for data in records)
        return header + question + answers
