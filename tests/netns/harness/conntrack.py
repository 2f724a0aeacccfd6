"""The connections that the kernel tracks, by ctnetlink."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .namespace import Namespace

_NETFILTER = 12
_NEW, _GET, _DELETE = 0x0100, 0x0101, 0x0102
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
_ORIGINAL, _REPLY, _STATUS, _PROTOINFO, _TIMEOUT = 1, 2, 3, 4, 7
ASSURED = 4
LIBERAL = 8  # of TCP's flags


@dataclass(frozen=True)
class Tuple:
    source: str
    destination: str
    protocol: int
    ports: tuple[int, int]


@dataclass(frozen=True)
class Connection:
    original: Tuple
    reply: Tuple
    status: int
    tcp_state: int | None = None
    tcp_flags: tuple[int, ...] = ()

    @property
    def assured(self) -> bool:
        return bool(self.status & ASSURED)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:size]
        data = data[(size + 3) & ~3 :]


def _tuple(data: bytes) -> Tuple | None:
    parts = dict(_attributes(data))
    ip, proto = dict(_attributes(parts.get(1, b""))), dict(_attributes(parts.get(2, b"")))
    if not {1, 2} <= ip.keys() or not {2, 3} <= proto.keys():
        return None
    ports = (int.from_bytes(proto[2], "big"), int.from_bytes(proto[3], "big"))
    return Tuple(str(ipaddress.IPv4Address(ip[1])), str(ipaddress.IPv4Address(ip[2])), proto[1][0], ports)


def _connection(data: bytes) -> Connection | None:
    parts = dict(_attributes(data))
    original, reply = _tuple(parts.get(_ORIGINAL, b"")), _tuple(parts.get(_REPLY, b""))
    if original is None or reply is None:
        return None
    tcp = dict(_attributes(dict(_attributes(parts.get(_PROTOINFO, b""))).get(1, b"")))
    flags = tuple(tcp[kind][0] for kind in (4, 5) if kind in tcp)
    return Connection(original, reply, int.from_bytes(parts[_STATUS], "big"), tcp[1][0] if 1 in tcp else None, flags)


def _exchange(namespace: Namespace, kind: int, flags: int, attributes: bytes = b"") -> list[bytes]:
    answers = []
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as sock:
        sock.bind((0, 0))
        body = struct.pack("=BBH", socket.AF_INET, 0, 0) + attributes
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | flags, 1, 0) + body)
        while True:
            data = sock.recv(1 << 17)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                if kind in (_ERROR, _DONE):
                    code = struct.unpack_from("=i", data, 16)[0]
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return answers
                answers.append(data[20:size])
                data = data[(size + 3) & ~3 :]


def connections(namespace: Namespace) -> list[Connection]:
    """Those of TCP and UDP over IPv4."""
    found = (_connection(each) for each in _exchange(namespace, _GET, _DUMP))
    return [each for each in found if each is not None]


def _original(original: Tuple) -> bytes:
    addresses = zip((1, 2), (original.source, original.destination), strict=True)
    ip = b"".join(_attribute(kind, ipaddress.IPv4Address(each).packed) for kind, each in addresses)
    ports = b"".join(_attribute(kind, port.to_bytes(2, "big")) for kind, port in zip((2, 3), original.ports, strict=True))
    proto = _attribute(1, bytes([original.protocol])) + ports
    return _attribute(_ORIGINAL | _NESTED, _attribute(1 | _NESTED, ip) + _attribute(2 | _NESTED, proto))


def delete(namespace: Namespace, original: Tuple | None = None) -> None:
    """`conntrack -D`, or -F without a tuple."""
    _exchange(namespace, _DELETE, _ACK, _original(original) if original else b"")


def touch(namespace: Namespace, original: Tuple) -> None:
    """Its timeout is set anew, and everybody who listens is told of it."""
    _exchange(namespace, _NEW, _ACK, _original(original) + _attribute(_TIMEOUT, (100).to_bytes(4, "big")))
