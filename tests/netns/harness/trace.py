"""A mixture of packets in both directions, with offloads as the kernel has them; sent and seen on raw links."""

from __future__ import annotations

import platform
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from . import packet as wire
from .namespace import Namespace
from .packet import ICMP, ICMPV6, TCP, UDP, Ipv4, Ipv6, icmp, icmpv6, tcp, udp, with_checksum
from .tap import ETH_P_ALL, Tap, came_in

_SOL_PACKET, _PACKET_VNET_HDR = 263, 15
# <linux/virtio_net.h>: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset.
_VNET = struct.Struct("=BBHHHH")
_NEEDS_CSUM = 1
TCPV4, TCPV6, UDP_L4 = 1, 4, 5

DESTINATION_OPTIONS, UDPLITE, DCCP, SCTP, ESP, GRE = 60, 136, 33, 132, 50, 47


@dataclass(frozen=True)
class Frame:
    packet: Ipv4 | Ipv6
    gso: tuple[int, int] | None = None  # type, bytes of data in a segment
    unfinished: tuple[int, int] | None = None  # where the checksum starts and stands, from the IP header on

    @classmethod
    def parse(cls, data: bytes, link_header: int) -> Frame:
        """As a raw packet socket gives it; `link_header`: its size."""
        flags, gso_type, _, gso_size, start, offset = _VNET.unpack_from(data)
        data, start = data[_VNET.size + link_header :], start - link_header
        packet = (Ipv6 if data[0] >> 4 == 6 else Ipv4).parse(data)
        gso = (gso_type, gso_size) if gso_type else None
        frame = cls(packet, gso, (start, offset) if flags & _NEEDS_CSUM else None)
        return frame if frame.gso else frame._finished(data)

    def _finished(self, data: bytes) -> Frame:
        """What the wire would carry; whether the last device sums or somebody before it makes no difference."""
        if not self.unfinished:
            return self
        start, offset = self.unfinished
        at = start + offset
        value = wire.checksum(data[start:]) or 0xFFFF
        return Frame(type(self.packet).parse(data[:at] + value.to_bytes(2, "big") + data[at + 2 :]))

    def encode(self, link_header: bytes) -> bytes:
        start, offset = self.unfinished or (0, 0)
        gso_type, gso_size = self.gso or (0, 0)
        headers = len(link_header) + start + (20 if gso_type in (TCPV4, TCPV6) else 8) if self.gso else 0
        flags = _NEEDS_CSUM if self.unfinished else 0
        vnet = _VNET.pack(flags, gso_type, headers, gso_size, len(link_header) + start if flags else 0, offset)
        return vnet + link_header + bytes(self.packet)


def _raw_socket(namespace: Namespace) -> socket.socket:
    sock = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    return sock


class Injector:
    """Sends frames out of a link, past the stack above it."""

    def __init__(self, namespace: Namespace, link: str, link_header: bytes, ethertype: int) -> None:
        self._sock = _raw_socket(namespace)
        self._link_header, self._to = link_header, (link, ethertype)

    def send(self, frame: Frame) -> None:
        self._sock.sendto(frame.encode(self._link_header), self._to)

    def __enter__(self) -> Injector:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()


def incoming(namespace: Namespace, link: str, ethertype: int, link_header: int) -> Tap[Frame]:
    """As tap.incoming, with what the device would still have to do."""
    sock = _raw_socket(namespace)
    sock.bind((link, ETH_P_ALL))
    return Tap(sock, lambda data, origin: Frame.parse(data, link_header) if came_in(origin, ethertype) else None)


def unfinished(packet: Ipv4 | Ipv6, gso: tuple[int, int] | None = None) -> Frame:
    """Its checksum left to the device, as a sender's kernel does."""
    offset = 16 if packet.protocol == TCP else 6
    addresses = wire.pseudo_header(packet.source, packet.destination, packet.protocol, len(packet.payload))
    partial = wire.checksum(addresses) ^ 0xFFFF
    segment = packet.payload[:offset] + partial.to_bytes(2, "big") + packet.payload[offset + 2 :]
    start = 40 if isinstance(packet, Ipv6) else 20 + len(packet.options)
    return Frame(type(packet)(packet.source, packet.destination, packet.protocol, segment), gso, (start, offset))


def without_checksum(segment: bytes) -> bytes:
    return segment[:6] + b"\0\0" + segment[8:]


def knows_udp_gso() -> bool:
    """Whether a vnet header may say so."""
    return tuple(map(int, platform.release().split(".")[:2])) >= (6, 2)


def extended(quote: bytes) -> bytes:
    """The quote, padded to 128 bytes, and an extension behind it: the label of an MPLS router (RFC 4884, RFC 4950)."""
    label = struct.pack("!HBBI", 8, 1, 1, 299824 << 12 | 1 << 8 | 1)
    structure = struct.pack("!BxH", 0x20, 0) + label
    checksum = wire.checksum(structure)
    return quote[:128].ljust(128, b"\0") + structure[:2] + checksum.to_bytes(2, "big") + structure[4:]


PORTS = (40000, 50000)
DATA = bytes(range(256)) * 250


def transports(here: str, there: str) -> Iterator[tuple[str, int, bytes]]:
    """What has a checksum over the addresses, and what has none that matters."""
    for size in (0, 1, 2, 1000, 1400):
        yield f"TCP with {size} bytes", TCP, tcp(here, there, PORTS, DATA[:size])
        yield f"UDP with {size} bytes", UDP, udp(here, there, PORTS, DATA[:size])
    for flags, name in ((0x02, "SYN"), (0x12, "SYN ACK"), (0x11, "FIN"), (0x04, "RST"), (0xC2, "SYN with ECN")):
        yield f"TCP {name}", TCP, tcp(here, there, PORTS, b"", flags=flags)
    lite = struct.pack("!HHHH", *PORTS, 108, 0) + DATA[:100]
    yield "UDP-Lite", UDPLITE, with_checksum(here, there, UDPLITE, lite, 6)
    dccp = struct.pack("!HHBBHBxHI", *PORTS, 4, 0, 0, 5, 0, 1) + DATA[:100]  # DCCP-Data with a long sequence number
    yield "DCCP", DCCP, with_checksum(here, there, DCCP, dccp, 6)
    for name, protocol in (("SCTP", SCTP), ("ESP", ESP), ("GRE", GRE)):
        yield name, protocol, DATA[:100]


def super_packets(kind: type, here: str, there: str) -> Iterator[tuple[str, Frame]]:
    gso_type = TCPV4 if kind is Ipv4 else TCPV6
    for size, segment in ((2000, 1400), (28000, 1400), (60000, 536)):
        packet = kind(here, there, TCP, tcp(here, there, PORTS, DATA[:size]))
        yield f"TCP super-packet of {size} bytes", unfinished(packet, (gso_type, segment))
    if knows_udp_gso():
        yield "UDP super-packet", unfinished(kind(here, there, UDP, udp(here, there, PORTS, DATA[:7000])), (UDP_L4, 1000))
    for protocol, make in ((TCP, tcp), (UDP, udp)):
        packet = kind(here, there, protocol, make(here, there, PORTS, DATA[:999]))
        yield f"unfinished checksum of protocol {protocol}", unfinished(packet)


def from_clat(clat: str, peer: str) -> dict[str, Frame]:
    """IPv4 that the router sends."""
    frames = {name: Frame(Ipv4(clat, peer, protocol, segment)) for name, protocol, segment in transports(clat, peer)}
    frames |= super_packets(Ipv4, clat, peer)

    def add(name: str, protocol: int, payload: bytes, **header) -> None:
        frames[name] = Frame(Ipv4(clat, peer, protocol, payload, **header))

    short = udp(clat, peer, PORTS, DATA[:100])
    for size in (0, 1, 33, 1400):
        add(f"UDP without a checksum, {size} bytes", UDP, without_checksum(udp(clat, peer, PORTS, DATA[:size])))
    for tos in (0x01, 0x03, 0x2E, 0xB8, 0xFF):
        add(f"TOS {tos:#04x}", UDP, short, tos=tos)
    add("TTL 3", UDP, short, ttl=3)
    for size in (100, 1400):
        add(f"without DF, {size} bytes", UDP, udp(clat, peer, PORTS, DATA[:size]), flags=0, identification=4711)
    for name, options in (("router alert", "94040000"), ("record route", "072704" + "00" * 37), ("no operation", "01" * 40)):
        add(name, UDP, short, options=bytes.fromhex(options))
    datagram = udp(clat, peer, PORTS, DATA[:3000])
    for offset in (0, 1400, 2800):
        more = wire.MORE_FRAGMENTS if offset < 2800 else 0
        add(f"fragment at {offset}", UDP, datagram[offset : offset + 1400], flags=more, offset=offset, identification=99)
    for kind, name in ((8, "request"), (0, "reply")):
        for size in (0, 56, 1400):
            add(f"echo {name} with {size} bytes", ICMP, icmp(kind, 0, DATA[:size], rest=0x1234_0001))
    quotes = {
        "UDP": bytes(Ipv4(peer, clat, UDP, udp(peer, clat, PORTS, DATA[:100]), ttl=50)),
        "TCP, cut": bytes(Ipv4(peer, clat, TCP, tcp(peer, clat, PORTS, DATA[:1000])))[:28],
        "an echo": bytes(Ipv4(peer, clat, ICMP, icmp(8, 0, DATA[:56]))),
    }
    for kind, code, rest in ((3, 0, 0), (3, 1, 0), (3, 3, 0), (3, 4, 1300), (11, 0, 0), (12, 0, 8 << 24)):
        for name, quote in quotes.items():
            add(f"ICMP {kind}/{code} about {name}", ICMP, icmp(kind, code, quote, rest=rest))
    add("ICMP 11/0 with an extension", ICMP, icmp(11, 0, extended(quotes["UDP"]), rest=128 // 4 << 16))
    return frames


def to_clat(peer: str, clat: str, router: str) -> dict[str, Frame]:
    """IPv6 that the NAT64 sends, and errors of a router on the way."""
    frames = {name: Frame(Ipv6(peer, clat, protocol, segment)) for name, protocol, segment in transports(peer, clat)}
    frames |= super_packets(Ipv6, peer, clat)

    def add(name: str, protocol: int, payload: bytes, **header) -> None:
        frames[name] = Frame(Ipv6(header.pop("source", peer), clat, protocol, payload, **header))

    short = udp(peer, clat, PORTS, DATA[:100])
    for traffic_class in (0x01, 0x03, 0x2E, 0xB8, 0xFF):
        add(f"traffic class {traffic_class:#04x}", UDP, short, traffic_class=traffic_class)
    add("hop limit 3", UDP, short, hop_limit=3)
    add("flow label", UDP, short, flow_label=0xABCDE)
    add("destination options", DESTINATION_OPTIONS, bytes([UDP, 0, 1, 4, 0, 0, 0, 0]) + short)
    datagram = udp(peer, clat, PORTS, DATA[:3000])
    for offset in (0, 1400, 2800):
        add(f"fragment at {offset}", UDP, datagram[offset : offset + 1400], fragment=(offset, offset < 2800, 0x10063))
    add("atomic fragment", UDP, short, fragment=(0, False, 0x20064))
    for kind, name in ((128, "request"), (129, "reply")):
        for size in (0, 56, 1400):
            add(f"echo {name} with {size} bytes", ICMPV6, icmpv6(peer, clat, kind, 0, DATA[:size], rest=0x1234_0001))
    quotes = {
        "UDP": bytes(Ipv6(clat, peer, UDP, udp(clat, peer, PORTS, DATA[:100]), hop_limit=50)),
        "TCP, cut": bytes(Ipv6(clat, peer, TCP, tcp(clat, peer, PORTS, DATA[:1000])))[:48],
        "an echo": bytes(Ipv6(clat, peer, ICMPV6, icmpv6(clat, peer, 128, 0, DATA[:56]))),
    }
    for kind, code, rest in ((1, 0, 0), (1, 1, 0), (1, 4, 0), (2, 0, 1400), (3, 0, 0), (4, 0, 7)):
        for name, quote in quotes.items():
            for source, whose in ((peer, ""), (router, " of a router")):
                message = icmpv6(source, clat, kind, code, quote, rest=rest)
                add(f"ICMPv6 {kind}/{code}{whose} about {name}", ICMPV6, message, source=source)
    message = icmpv6(router, clat, 3, 0, extended(quotes["UDP"]), rest=128 // 8 << 24)
    add("ICMPv6 3/0 of a router, with an extension", ICMPV6, message, source=router)
    return frames
