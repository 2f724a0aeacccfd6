"""A router that advertises itself, and says what a test wants it to say."""

from __future__ import annotations

import ipaddress
import socket
import struct

from .namespace import Namespace
from .packet import Ipv6, icmpv6

ALL_NODES = "ff02::1"
MULTICAST_MAC = bytes.fromhex("333300000001")
ETH_P_IPV6 = 0x86DD
LENGTH_CODES = {96: 0, 64: 1, 56: 2, 48: 3, 40: 4, 32: 5}


def pref64(prefix: str, lifetime: int, code: int | None = None) -> bytes:
    """RFC 8781; the lifetime in seconds."""
    network = ipaddress.IPv6Network(prefix)
    code = LENGTH_CODES[network.prefixlen] if code is None else code
    return struct.pack("!BBH", 38, 2, lifetime // 8 * 8 | code) + network.network_address.packed[:12]


def mtu(value: int) -> bytes:
    """RFC 4861 §4.6.4."""
    return struct.pack("!BBHI", 5, 1, 0, value)


def rdnss(lifetime: int, *servers: str) -> bytes:
    """RFC 8106 §5.1; the lifetime in seconds."""
    addresses = b"".join(ipaddress.IPv6Address(server).packed for server in servers)
    return struct.pack("!BBHI", 25, 1 + 2 * len(servers), 0, lifetime) + addresses


def message(source: str, *options: bytes, hop_limit: int = 255) -> bytes:
    """An IPv6 packet; it makes its sender a default router for half an hour."""
    timers = struct.pack("!II", 0, 0)
    segment = icmpv6(source, ALL_NODES, 134, 0, timers + b"".join(options), rest=64 << 24 | 1800)
    return bytes(Ipv6(source, ALL_NODES, 58, segment, hop_limit=hop_limit))


class Advertiser:
    def __init__(self, namespace: Namespace, link: str, router: str = "fe80::1", mac: str = "02:00:00:00:ff:01") -> None:
        self.router = router
        self._mac = bytes.fromhex(mac.replace(":", ""))
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind((link, 0))
        self._solicitations = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IPV6))
        self._solicitations.bind((link, ETH_P_IPV6))
        self._solicitations.settimeout(10)

    def close(self) -> None:
        self._socket.close()
        self._solicitations.close()

    def message(self, *options: bytes, source: str | None = None, hop_limit: int = 255) -> bytes:
        return message(source or self.router, *options, hop_limit=hop_limit)

    def send_packet(self, packet: bytes) -> None:
        self._socket.send(MULTICAST_MAC + self._mac + struct.pack("!H", ETH_P_IPV6) + packet)

    def send(self, *options: bytes, **fields) -> None:
        self.send_packet(self.message(*options, **fields))

    def advertise(self, prefix: str, lifetime: int = 1800) -> None:
        self.send(pref64(prefix, lifetime))

    def wait_solicitation(self) -> None:
        while True:
            packet = self._solicitations.recv(2048)
            if len(packet) >= 48 and packet[6] == 58 and packet[40] == 133:
                return
