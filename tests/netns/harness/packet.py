"""IP packets put together and taken apart."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

ICMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 6, 17, 44, 58
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def embedded(prefix: str, v4: str) -> str:
    """RFC 6052 §2.2."""
    network = ipaddress.IPv6Network(prefix)
    data = bytearray(network.network_address.packed)
    at = network.prefixlen // 8
    for octet in ipaddress.IPv4Address(v4).packed:
        at += at == 8
        data[at] = octet
        at += 1
    return str(ipaddress.IPv6Address(bytes(data)))


def pseudo_header(source: str, destination: str, protocol: int, size: int) -> bytes:
    layout = "!I3xB" if ":" in source else "!xBH"
    fields = (size, protocol) if ":" in source else (protocol, size)
    return packed(source) + packed(destination) + struct.pack(layout, *fields)


@dataclass(frozen=True)
class Ipv4:
    source: str
    destination: str
    protocol: int
    payload: bytes
    ttl: int = 64
    tos: int = 0
    identification: int = 0
    flags: int = DONT_FRAGMENT
    offset: int = 0  # bytes
    options: bytes = b""

    @property
    def is_fragment(self) -> bool:
        return bool(self.offset or self.flags & MORE_FRAGMENTS)

    def __bytes__(self) -> bytes:
        size = 20 + len(self.options)
        header = bytearray(
            struct.pack(
                "!BBHHHBBH4s4s", 0x40 | size // 4, self.tos, size + len(self.payload), self.identification,
                self.flags | self.offset // 8, self.ttl, self.protocol, 0, packed(self.source), packed(self.destination),
            )
            + self.options
        )  # fmt: skip
        header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
        return bytes(header) + self.payload

    @classmethod
    def parse(cls, data: bytes) -> Ipv4:
        first, tos, total, identification, fragment, ttl, protocol, _, source, destination = struct.unpack(
            "!BBHHHBBH4s4s", data[:20]
        )
        size = (first & 15) * 4
        if first >> 4 != 4 or checksum(data[:size]):
            raise ValueError(f"no IPv4 header, or a wrong checksum: {data[:size].hex()}")
        addresses = str(ipaddress.IPv4Address(source)), str(ipaddress.IPv4Address(destination))
        return cls(*addresses, protocol, data[size:total], ttl, tos, identification,
                   fragment & 0xE000, (fragment & 0x1FFF) * 8, data[20:size])  # fmt: skip


@dataclass(frozen=True)
class Ipv6:
    source: str
    destination: str
    protocol: int  # behind the Fragment header, if there is one
    payload: bytes
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0
    fragment: tuple[int, bool, int] | None = None  # offset in bytes, more to come, identification

    @property
    def is_fragment(self) -> bool:
        return self.fragment is not None

    def __bytes__(self) -> bytes:
        next_header, body = self.protocol, self.payload
        if self.fragment:
            offset, more, identification = self.fragment
            body = struct.pack("!BxHI", self.protocol, offset | more, identification) + body
            next_header = FRAGMENT
        first = 6 << 28 | self.traffic_class << 20 | self.flow_label
        header = struct.pack("!IHBB", first, len(body), next_header, self.hop_limit)
        return header + packed(self.source) + packed(self.destination) + body

    @classmethod
    def parse(cls, data: bytes) -> Ipv6:
        first, size, protocol, hop_limit = struct.unpack("!IHBB", data[:8])
        if first >> 28 != 6:
            raise ValueError(f"no IPv6 header: {data[:40].hex()}")
        body = data[40 : 40 + size]
        fragment = None
        if protocol == FRAGMENT:
            protocol, offset, identification = struct.unpack("!BxHI", body[:8])
            fragment = (offset & 0xFFF8, bool(offset & 1), identification)
            body = body[8:]
        source, destination = (str(ipaddress.IPv6Address(data[at : at + 16])) for at in (8, 24))
        return cls(source, destination, protocol, body, hop_limit, first >> 20 & 0xFF, first & 0xFFFFF, fragment)


def transport_checksum(source: str, destination: str, protocol: int, segment: bytes) -> int:
    """Of a segment whose checksum field is 0; of one that carries a right checksum this is 0."""
    return checksum(pseudo_header(source, destination, protocol, len(segment)) + segment)


def with_checksum(source: str, destination: str, protocol: int, segment: bytes, at: int) -> bytes:
    value = transport_checksum(source, destination, protocol, segment)
    if protocol == UDP and value == 0:
        value = 0xFFFF
    return segment[:at] + value.to_bytes(2, "big") + segment[at + 2 :]


def udp(source: str, destination: str, ports: tuple[int, int], data: bytes) -> bytes:
    segment = struct.pack("!HHHH", *ports, 8 + len(data), 0) + data
    return with_checksum(source, destination, UDP, segment, 6)


def tcp(source: str, destination: str, ports: tuple[int, int], data: bytes, *, sequence: int = 1, flags: int = 0x10) -> bytes:
    segment = struct.pack("!HHIIBBHHH", *ports, sequence, 1, 5 << 4, flags, 0xFFFF, 0, 0) + data
    return with_checksum(source, destination, TCP, segment, 16)


def icmp(kind: int, code: int, data: bytes, *, rest: int = 0) -> bytes:
    """ICMPv4; `rest` is the second word of the header."""
    message = struct.pack("!BBHI", kind, code, 0, rest) + data
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]


def icmpv6(source: str, destination: str, kind: int, code: int, data: bytes, *, rest: int = 0) -> bytes:
    return with_checksum(source, destination, ICMPV6, struct.pack("!BBHI", kind, code, 0, rest) + data, 2)
