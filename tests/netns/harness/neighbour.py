"""Messages of neighbours, honest and other, as IPv6 packets and as frames."""

from __future__ import annotations

import ipaddress
import socket
import struct

from .advertiser import ALL_NODES, ETH_P_IPV6, MULTICAST_MAC
from .namespace import Namespace
from .packet import Ipv6, icmpv6, packed

OVERRIDE = 0x2000_0000


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def group_of(target: str) -> str:
    """Its solicited-node group."""
    return str(ipaddress.IPv6Address(packed("ff02::1:ff00:0")[:13] + packed(target)[13:]))


def advertisement(target: str, mac: str | None, source: str = "fe80::bad", **fields) -> bytes:
    """To all nodes; `mac` is that of the target."""
    option = b"\x02\x01" + mac_bytes(mac) if mac else b""
    return bytes(Ipv6(source, ALL_NODES, 58, icmpv6(source, ALL_NODES, 136, 0, packed(target) + option, rest=OVERRIDE),
                      **{"hop_limit": 255, **fields}))  # fmt: skip


def probe(target: str, nonce: bytes = b"") -> bytes:
    """For duplicates, from nobody."""
    option = b"\x0e\x01" + nonce if nonce else b""
    group = group_of(target)
    return bytes(Ipv6("::", group, 58, icmpv6("::", group, 135, 0, packed(target) + option), hop_limit=255))


def probe_in(packet: bytes) -> tuple[str, bytes] | None:
    """Of a probe for duplicates: its target and its nonce."""
    if packet[6:8] != b"\x3a\xff" or packet[8:24] != bytes(16) or packet[40] != 135:
        return None
    return socket.inet_ntop(socket.AF_INET6, packet[48:64]), packet[66:72]


class Neighbour:
    """A station on the link, with a MAC address of its own."""

    def __init__(self, namespace: Namespace, link: str, mac: str = "02:00:00:00:ba:d0") -> None:
        self.mac = mac
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind((link, 0))

    def close(self) -> None:
        self._socket.close()

    def send(self, packet: bytes, *, mac: str | None = None) -> None:
        group = packet[24] == 0xFF
        to = b"\x33\x33" + packet[36:40] if group else MULTICAST_MAC
        self._socket.send(to + mac_bytes(mac or self.mac) + struct.pack("!H", ETH_P_IPV6) + packet)

    def claim(self, target: str) -> None:
        self.send(advertisement(target, self.mac))
