"""Links that join what they receive: by lists (rx-gro-list, on by default on OpenWrt), and datagrams, too (rx-udp-gro-forwarding).

A list keeps each packet with headers of its own, and the programs translate those of the first. What a LAN host sends and
gets must be the same packets all the same, on a device that sends each by itself.
"""

from __future__ import annotations

import contextlib
import platform
import socket
import struct
import threading
import time

from harness import ethtool
from harness.case import LabTest, every_interface
from harness.clatvisor import SLOW
from harness.lab import WAN0
from harness.packet import TCP, UDP, Ipv4, Ipv6, checksum, pseudo_header
from harness.tap import ETH_P_IP, ETH_P_IPV6, Tap, incoming
from harness.traffic import SO_RCVBUFFORCE, Client

PORT = 4000
SIZE, BURST, BURSTS = 1000, 16, 30  # of datagrams: bytes, so many at once, so often
TCP_BYTES = 2_000_000
UDP_SEGMENT = 103
LARGEST = 1500  # what goes over the links
LINKS = (WAN0.name, "lan0")  # the router's

# As small routers have it: each packet leaves by itself, with its checksum.
PLAIN = {"tx_tcp_segmentation": False, "tx_tcp6_segmentation": False, "tx_udp_segmentation": False, "tx_gso_list": False}
SUMMED = {**PLAIN, "tx_checksum_ip_generic": False}
# Before 6.11 a socket sends no burst of datagrams by a link that leaves checksums to it.
SENDS = SUMMED if tuple(map(int, platform.release().split(".")[:2])) >= (6, 11) else PLAIN

JOINS = {
    "lists": {"rx_gro": True, "rx_gro_list": True, "rx_udp_gro_forwarding": False},
    "datagrams": {"rx_gro": True, "rx_gro_list": False, "rx_udp_gro_forwarding": True},
    "both": {"rx_gro": True, "rx_gro_list": True, "rx_udp_gro_forwarding": True},
}


def datagram(number: int) -> bytes:
    return struct.pack("!I", number) + bytes((number * 7 + i) & 0xFF for i in range(SIZE - 4))


def send_bursts(sock: socket.socket, *peer: tuple) -> None:
    sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
    for burst in range(BURSTS):
        data = b"".join(datagram(burst * BURST + i) for i in range(BURST))
        sock.sendto(data, *peer) if peer else sock.send(data)
        time.sleep(0.002)  # leaves the receiver its share of the CPU


def receive_all(sock: socket.socket) -> list[bytes]:
    """As many as are sent, or those that came before a second of silence."""
    received: list[bytes] = []
    sock.settimeout(1 * SLOW)
    with contextlib.suppress(TimeoutError):
        while len(received) < BURSTS * BURST:
            received.append(sock.recv(1 << 16))
    return received


def is_right(data: bytes) -> bool:
    packet = Ipv4.parse(data) if data[0] >> 4 == 4 else Ipv6.parse(data)
    pseudo = pseudo_header(packet.source, packet.destination, packet.protocol, len(packet.payload))
    header = data[0] >> 4 == 6 or checksum(data[: (data[0] & 0xF) * 4]) == 0
    return len(data) <= LARGEST and header and checksum(pseudo + packet.payload) == 0


def wrong_ones(tap: Tap[bytes]) -> list[str]:
    transports = (data for data in tap.items() if data[9 if data[0] >> 4 == 4 else 6] in (TCP, UDP))
    return [f"{len(data)} bytes: {data[:60].hex()}" for data in transports if not is_right(data)]


def joined(tap: Tap[bytes], protocol: int) -> int:
    return sum(len(data) > LARGEST and data[9 if data[0] >> 4 == 4 else 6] == protocol for data in tap.items())


class Joined(LabTest):
    uplinks = (WAN0,)
    lan = True
    nat64 = False

    def setUp(self) -> None:
        super().setUp()
        for namespace, link in ((self.lab.provider, WAN0.far), (self.lab.lan, "eth0")):
            ethtool.set_features(namespace, link, **SENDS)
        for link in LINKS:
            ethtool.set_features(self.lab.router, link, **SUMMED)
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)  # for clatd alone
        self.client = Client(self.lab.lan)

    def downloads(self) -> list[bytes]:
        with self.client.socket(socket.SOCK_DGRAM) as sock, self.lab.plat.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
            for each in (sock, server):
                each.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            server.bind((WAN0.embed(self.lab.direct_v4), PORT))
            server.settimeout(5 * SLOW)
            sock.connect((self.lab.direct_v4, PORT))
            sock.send(b"begin")
            _, peer = server.recvfrom(100)
            sender = threading.Thread(target=send_bursts, args=(server, peer))
            sender.start()
            received = receive_all(sock)
            sender.join()
        return received

    def uploads(self) -> list[bytes]:
        with self.client.socket(socket.SOCK_DGRAM) as sock, self.lab.plat.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
            server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            server.bind((WAN0.embed(self.lab.direct_v4), PORT))
            sock.connect((self.lab.direct_v4, PORT))
            sender = threading.Thread(target=send_bursts, args=(sock,))
            sender.start()
            received = receive_all(server)
            sender.join()
        return received

    def check(self) -> None:
        """All of both directions arrives, on the wire as it should be, and the links did join."""
        every = [datagram(number) for number in range(BURSTS * BURST)]
        router = self.lab.router
        with (
            incoming(router, WAN0.name, ETH_P_IPV6) as down, incoming(router, "lan0", ETH_P_IP) as up,
            incoming(self.lab.lan, "eth0", ETH_P_IP) as at_host, incoming(self.lab.plat, WAN0.far, ETH_P_IPV6) as at_server,
        ):  # fmt: skip
            self.client.tcp_echo(self.lab.direct_v4, TCP_BYTES, timeout=20 * SLOW)
            self.assertEqual(sorted(self.downloads()), sorted(every))
            self.assertEqual(sorted(self.uploads()), sorted(every))
        for tap in (down, up):
            self.assertGreater(joined(tap, TCP), 0)
            self.assertGreater(joined(tap, UDP), 0)
        self.assertEqual(wrong_ones(at_host), [])
        self.assertEqual(wrong_ones(at_server), [])

    def check_each(self, fast_path: str) -> None:
        self.start(change=every_interface(fast_path=fast_path))
        for name, joins in JOINS.items():
            with self.subTest(name):
                for link in LINKS:
                    ethtool.set_features(self.lab.router, link, **joins)
                self.check()
        self.program.stop()


class Routed(Joined):
    def test_by_the_fast_path(self) -> None:
        self.check_each("required")

    def test_by_clatd(self) -> None:
        self.check_each("off")


class Bridged(Joined):
    """The LAN is a port of a bridge."""

    def setUp(self) -> None:
        super().setUp()
        self.lab.router.ip(
            "address del 192.168.7.1/24 dev lan0", "link add br-lan type bridge", "link set lan0 master br-lan",
            "link set br-lan up", "address add 192.168.7.1/24 dev br-lan",
        )  # fmt: skip

    def test_by_the_fast_path(self) -> None:
        self.check_each("required")

    def test_by_clatd(self) -> None:
        self.check_each("off")
