"""What a link carries and what reaches a host, kept as it comes in."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .clatvisor import SLOW
from .namespace import Namespace
from .packet import Ipv4
from .traffic import SO_RCVBUFFORCE

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
_PACKET_OUTGOING = 4

Item = TypeVar("Item")


class Tap(Generic[Item]):
    """The kernel keeps what comes until it is asked for. `make` makes an item of a datagram, or None."""

    def __init__(self, sock: socket.socket, make: Callable[[bytes, tuple], Item | None]) -> None:
        self._sock, self._make = sock, make
        self._items: list[Item] = []
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)

    def __enter__(self) -> Tap[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.items()
        self._sock.close()

    def items(self) -> list[Item]:
        """All that came until now, or until the end of the with block."""
        with contextlib.suppress(BlockingIOError):
            while self._sock.fileno() >= 0:
                item = self._make(*self._sock.recvfrom(1 << 17))
                if item is not None:
                    self._items.append(item)
        return self._items

    def find(self, wanted: Callable[[Item], object]) -> list[Item]:
        return [item for item in self.items() if wanted(item)]

    def wait(self, wanted: Callable[[Item], object], what: str, *, count: int = 1, timeout: float = 10) -> list[Item]:
        """The first `count` such items, those of before included."""
        end = time.monotonic() + timeout * SLOW
        while len(found := self.find(wanted)) < count:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._sock], [], [], left)[0]:
                last = "\n".join(repr(item)[:200] for item in self._items[-5:])
                raise AssertionError(f"{len(found)} of {count}: {what}; {len(self._items)} came, at the end\n{last}")
        return found[:count]


def came_in(origin: tuple, ethertype: int) -> bool:
    return origin[1] == ethertype and origin[2] != _PACKET_OUTGOING


def incoming(namespace: Namespace, link: str, ethertype: int) -> Tap[bytes]:
    """Packets of this type that the link takes in, from the IP header on, before any program of ours."""
    sock = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    sock.bind((link, ETH_P_ALL))
    return Tap(sock, lambda data, origin: data if came_in(origin, ethertype) else None)


@dataclass(frozen=True)
class IcmpMessage:
    source: str
    kind: int
    code: int
    rest: int  # the second word of the header
    data: bytes = field(repr=False)  # behind it

    @property
    def quoted(self) -> Ipv4:
        return Ipv4.parse(self.data)

    @property
    def mtu(self) -> int:
        return self.rest & 0xFFFF


def icmp_messages(namespace: Namespace) -> Tap[IcmpMessage]:
    """All ICMPv4 that is delivered to the namespace's own addresses, as its kernel sees it."""

    def make(data: bytes, _: tuple) -> IcmpMessage:
        packet = Ipv4.parse(data)
        kind, code, _, rest = struct.unpack("!BBHI", packet.payload[:8])
        return IcmpMessage(packet.source, kind, code, rest, packet.payload[8:])

    return Tap(namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), make)
