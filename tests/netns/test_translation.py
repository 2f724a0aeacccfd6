"""RFC 7915 end to end, through TAYGA to an IPv4-only server, on both paths and in both directions."""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

from harness import probe, tap
from harness.case import BothPaths, LabTest, every_interface
from harness.clatvisor import NO_LEAK_CHECK, SLOW
from harness.lab import WAN0, wait_until
from harness.packet import ICMPV6, UDP, Ipv4, Ipv6, icmpv6, transport_checksum, udp
from harness.probe import IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_DONT, path_mtu
from harness.reassembly import Reassembler
from harness.strace import traced
from harness.trace import knows_udp_gso
from harness.traffic import SINK, Bulk, Client

CLAT = "192.0.0.8"  # the source of its own ICMP errors, and of those from routers without an IPv4 address
FRAGMENTATION_NEEDED = (3, 4)
SO_NO_CHECK, UDP_NO_CHECK6_TX, UDP_SEGMENT = 11, 101, 103  # <asm-generic/socket.h>, <linux/udp.h>
MEGABYTE = 1_000_000
# What the kernel's limits on its own ICMP errors would hide.
UNLIMITED = {"net/ipv4/icmp_ratelimit": 0, "net/ipv6/icmp/ratelimit": 0}


def pattern(size: int) -> bytes:
    return bytes(i * 131 + (i >> 8) & 0xFF for i in range(size))


class Translation(BothPaths):
    uplinks = (WAN0,)
    lan = True
    relay = True

    def setUp(self) -> None:
        super().setUp()
        for namespace in (self.lab.lan, self.lab.router, self.lab.provider, self.lab.plat, self.lab.server):
            for key, value in UNLIMITED.items():
                namespace.sysctl(key, value)
        self.router = self.lab.client(WAN0)
        self.host = Client(self.lab.lan)
        self.server = self.lab.server_v4

    def for_each_client(self, check: Callable[[Client], None]) -> None:
        for client in (self.router, self.host):
            with self.subTest(client=client.namespace.name.rpartition("-")[2]):
                check(client)

    @contextlib.contextmanager
    def conversation(self, client: Client) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Two connected UDP sockets: the client's, and the server's, which knows the client by its address there."""
        with client.socket(socket.SOCK_DGRAM, 5 * SLOW) as near, self.lab.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.settimeout(5 * SLOW)
            far.bind((self.server, 0))
            near.connect(far.getsockname())
            near.send(b"hello")
            far.connect(far.recvfrom(100)[1])
            yield near, far

    def clat_v6(self) -> str:
        return self.program.find("clat.up", "wan0")[0]["v6"]

    def on_the_uplink(self) -> tap.Tap[bytes]:
        """What leaves the router by its uplink."""
        return tap.incoming(self.lab.provider, WAN0.far, tap.ETH_P_IPV6)

    def link_mtu(self, link: str) -> int:
        return self.lab.router.ip_json("link", "show", link)[0]["mtu"]


class Sizes(Translation):
    """Path MTU discovery, fragments, and the uplink's MTU."""

    def assert_sender_adapts(self, bulk: Bulk, sender: Client, destination: str, *, mtu: int, told_by: str, errors) -> None:
        """The error arrived at the sender; its kernel took it, and the transfer goes on in smaller segments."""
        errors.wait(
            lambda error: (error.source, error.kind, error.code, error.mtu) == (told_by, *FRAGMENTATION_NEEDED, mtu),
            f"Fragmentation Needed for {mtu} bytes from {told_by}",
        )
        bulk.wait_bytes(5 * MEGABYTE)
        self.assertEqual(path_mtu(sender, destination), mtu)

    def check_upload(self, client: Client, *, mtu: int, told_by: str) -> None:
        with tap.icmp_messages(client.namespace) as errors:
            bulk = Bulk(client, self.server, upload=True)
            self.assert_sender_adapts(bulk, client, self.server, mtu=mtu, told_by=told_by, errors=errors)
            self.assertEqual(bulk.segment_size(), mtu - 20 - 32)  # TCP with timestamps
            bulk.finish()

    def test_bulk_in_full_segments(self) -> None:
        """The MSS of both ends and the tun's MTU make segments that fit: nothing is fragmented on the uplink."""
        self.start()
        tun_mtu = self.link_mtu("v4-wan0")
        self.assertEqual(tun_mtu, 1500 - 28)

        def check(client: Client) -> None:
            with self.on_the_uplink() as uplink:
                client.tcp_echo(self.server, size=2 * MEGABYTE, timeout=30)
                bulk = Bulk(client, self.server, upload=True)
                bulk.wait_bytes(2 * MEGABYTE)
                self.assertEqual(bulk.segment_size(), tun_mtu - 20 - 32)
                bulk.finish()
            packets = [Ipv6.parse(data) for data in uplink.items()]
            self.assertGreater(sum(len(packet.payload) for packet in packets), 4 * MEGABYTE)
            self.assertFalse([packet for packet in packets if packet.fragment])

        self.for_each_client(check)
        self.program.stop()

    def test_upload_over_a_narrow_link_behind_the_nat64(self) -> None:
        """Fragmentation Needed of an IPv4 router, Packet Too Big of the NAT64, Fragmentation Needed again."""
        for namespace in (self.lab.plat, self.lab.server):
            namespace.ip("link set srv0 mtu 1300")
        self.lab.server.ip("route replace default via 192.175.48.1 advmss 1460")  # as if the link were further away
        self.start()
        self.for_each_client(lambda client: self.check_upload(client, mtu=1300, told_by="192.175.48.1"))
        self.program.stop()

    def test_upload_over_a_narrow_ipv6_link(self) -> None:
        """Packet Too Big from an address outside the NAT64 prefix."""
        for namespace in (self.lab.provider, self.lab.plat):
            namespace.ip("link set core mtu 1400")
        self.start()
        self.for_each_client(lambda client: self.check_upload(client, mtu=1380, told_by=CLAT))
        self.program.stop()

    def test_download_to_a_narrow_lan(self) -> None:
        """Fragmentation Needed of the router itself, to the server."""
        self.lab.router.ip("link set lan0 mtu 1300")
        self.lab.lan.ip("link set eth0 mtu 1300", "route replace default via 192.168.7.1 advmss 1460")
        self.start()
        with self.conversation(self.host) as (_, far):
            mapped = far.getpeername()[0]
        with tap.icmp_messages(self.lab.server) as errors:
            bulk = Bulk(self.host, self.server)
            self.assert_sender_adapts(bulk, Client(self.lab.server), mapped, mtu=1300, told_by=mapped, errors=errors)
            bulk.finish()
        self.program.stop()

    def test_fragmented_udp(self) -> None:
        self.start()
        data = pattern(8192)

        def check(client: Client) -> None:
            with self.conversation(client) as (near, far), self.on_the_uplink() as uplink:
                near.send(data)
                self.assertEqual(far.recv(65536), data)
                far.send(data[::-1])
                self.assertEqual(near.recv(65536), data[::-1])
            self.assertGreaterEqual(len([data for data in uplink.items() if Ipv6.parse(data).fragment]), 6)

        self.for_each_client(check)
        self.program.stop()

    def test_no_larger_packets_without_df_than_lowest_ipv6_mtu(self) -> None:
        self.start(change=lambda config: config["interfaces"]["wan0"].update({"lowest-ipv6-mtu": 1280}))

        def check(client: Client) -> None:
            with self.conversation(client) as (near, far):
                near.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
                for size in (1232, 1233, 1440, 8192):
                    with self.on_the_uplink() as uplink:
                        near.send(pattern(size))
                        self.assertEqual(far.recv(65536), pattern(size))
                        sent = self.udp_on(uplink)
                    self.assertLessEqual(max(len(data) for data in sent), 1280)
                    fragments = [Ipv6.parse(data).fragment for data in sent]
                    self.assertEqual(all(fragments), size > 1232, fragments)
                    self.assertEqual(len({fragment[2] for fragment in fragments if fragment}), int(size > 1232), fragments)
                near.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
                with self.on_the_uplink() as uplink:
                    near.send(pattern(1440))
                    self.assertEqual(far.recv(65536), pattern(1440))
                    self.assertEqual([len(data) for data in self.udp_on(uplink)], [40 + 8 + 1440])

        self.for_each_client(check)
        self.program.stop()

    @staticmethod
    def udp_on(uplink: tap.Tap[bytes]) -> list[bytes]:
        return uplink.find(lambda data: Ipv6.parse(data).protocol == UDP)

    def test_uplink_mtu_changes_under_traffic(self) -> None:
        self.start()

        def check(client: Client) -> None:
            bulk = Bulk(client, self.server, upload=True)
            bulk.wait_bytes(2 * MEGABYTE)
            self.check_mtu(client, 1500)
            for link, mtu in (("narrow", 1400), ("wide again", 1500)):
                with self.subTest(link):
                    self.set_uplink_mtu(mtu)
                    bulk.wait_bytes(5 * MEGABYTE)
                    self.check_mtu(client, mtu)
            bulk.finish()

        self.for_each_client(check)
        self.program.stop()

    def set_uplink_mtu(self, mtu: int) -> None:
        for namespace, link in ((self.lab.provider, WAN0.far), (self.lab.router, "wan0")):
            namespace.ip(f"link set {link} mtu {mtu}")
        wait_until(lambda: self.link_mtu("v4-wan0") == mtu - 28, 10 * SLOW, "the tun's MTU follows")

    def check_mtu(self, client: Client, mtu: int) -> None:
        """The largest datagram passes whole, one byte more does not; without DF it passes in fragments that fit."""
        largest = mtu - 28 - 28
        client.namespace.ip("route flush cache")
        with self.conversation(client) as (near, far):
            near.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            near.send(pattern(largest))
            self.assertEqual(far.recv(65536), pattern(largest))
            if largest + 1 <= 1472:
                self.assert_too_big(near, largest + 1)
                self.assertEqual(self.socket_mtu(near), mtu - 28)
        with self.conversation(client) as (near, far):  # that one may have more errors to tell
            near.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
            with self.on_the_uplink() as uplink:
                near.send(pattern(4000))
                self.assertEqual(far.recv(65536), pattern(4000))
                sent = self.udp_on(uplink)
            self.assertLessEqual(max(len(data) for data in sent), mtu)
            self.assertTrue(all(Ipv6.parse(data).fragment for data in sent))
        self.check_clamp(mtu)

    @staticmethod
    def assert_too_big(sock: socket.socket, size: int) -> None:
        def refused() -> bool:
            try:
                sock.send(bytes(size))
            except OSError as error:
                return error.errno == errno.EMSGSIZE
            return False

        wait_until(refused, 5 * SLOW, f"EMSGSIZE at {size} bytes", every=0.05)

    @staticmethod
    def socket_mtu(sock: socket.socket) -> int:
        return sock.getsockopt(socket.IPPROTO_IP, 14)  # IP_MTU

    def check_clamp(self, mtu: int) -> None:
        """A Packet Too Big that speaks of more than the uplink's MTU (RFC 7915 §5.2)."""
        far, clat = WAN0.embed(self.lab.direct_v4), self.clat_v6()
        quote = Ipv6(clat, far, UDP, udp(clat, far, (5000, SINK), bytes(1600)))
        message = icmpv6(far, clat, 2, 0, bytes(quote)[:1200], rest=1600)
        with tap.icmp_messages(self.lab.router) as errors:
            with self.lab.plat.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
                sock.bind((far, 0))
                sock.sendto(message, (clat, 0))
            error = errors.wait(lambda error: error.source == self.lab.direct_v4, "Fragmentation Needed")[0]
        self.assertEqual((error.kind, error.code, error.mtu), (*FRAGMENTATION_NEEDED, mtu - 20))
        self.assertEqual(error.quoted.destination, self.lab.direct_v4)


class LargePing(Translation):
    """The fragments of an echo, which share one ICMPv6 checksum over a length that only the last of them tells."""

    nat64_mtu = 9000

    def test_ping_with_4000_bytes(self) -> None:
        Reassembler(self.lab, WAN0)
        self.start()
        count = 5

        def check(client: Client) -> None:
            with self.on_the_uplink() as uplink:
                for server in (self.server, self.lab.direct_v4):  # TAYGA answers in pieces of 1280 bytes, Linux of 1500
                    self.assertEqual(client.ping(server, count, size=4000), count)
                requests = uplink.find(lambda data: Ipv6.parse(data).protocol == ICMPV6 and Ipv6.parse(data).fragment)
            self.assertEqual(len(requests), 2 * count * 3)

        self.for_each_client(check)
        with self.conversation(self.router) as (_, far):
            mapped = far.getpeername()[0]
        text = self.lab.server.run("ping", "-n", f"-c{count}", "-i0.2", "-s4000", "-Mdont", mapped)
        self.assertIn(" 0% packet loss", text)
        self.program.stop()


class Jumbo(Translation):
    """On links that carry it whole, a large echo leaves the kernel as one packet."""

    mtu = 9000

    def test_ping_in_fragments_of_1280_bytes(self) -> None:
        """A whole echo request without DF is summed, then fragmented (RFC 7915 §4.1)."""
        self.start(change=lambda config: config["interfaces"]["wan0"].update({"lowest-ipv6-mtu": 1280}))

        def check(client: Client) -> None:
            with self.on_the_uplink() as uplink:
                text = client.namespace.run(
                    "ping", "-n", "-c3", "-i0.2", "-s4000", "-Mdont",
                    *(("-I", client.device) if client.device else ()), self.lab.direct_v4,
                )  # fmt: skip
                self.assertIn(" 0% packet loss", text)
            requests = [data for data in uplink.items() if Ipv6.parse(data).protocol == ICMPV6 and Ipv6.parse(data).fragment]
            self.assertEqual(len(requests), 3 * 4)
            self.assertLessEqual(max(map(len, requests)), 1280)

        self.for_each_client(check)
        self.program.stop()


class Headers(Translation):
    def test_every_dscp_and_ecn(self) -> None:
        self.start()

        def check(client: Client) -> None:
            with self.conversation(client) as ends:
                for sender, receiver in (ends, ends[::-1]):
                    receiver.setsockopt(socket.IPPROTO_IP, probe.IP_RECVTOS, 1)
                    for tos in range(256):
                        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
                        sender.send(bytes([tos]))
                        data, controls, _, _ = receiver.recvmsg(100, 100)
                        self.assertEqual([(data, control[2]) for control in controls], [(bytes([tos]),) * 2])

        self.for_each_client(check)
        self.program.stop()

    def test_udp_without_a_checksum(self) -> None:
        self.start()

        def check(client: Client) -> None:
            with self.conversation(client) as (near, far), tap.incoming(self.lab.server, "srv0", tap.ETH_P_IP) as wire:
                near.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
                for size in (0, 1, 2, 33, 1000, 1444):
                    near.send(pattern(size))
                    self.assertEqual(far.recv(65536), pattern(size))
                # TAYGA only adjusts checksums: what is right here was right on the uplink.
                packets = [Ipv4.parse(data) for data in wire.items()]
                self.assertEqual(len([p for p in packets if p.protocol == UDP]), 6)
                for packet in packets:
                    self.assertNotEqual(packet.payload[6:8], b"\0\0")
                    self.assertEqual(transport_checksum(packet.source, packet.destination, UDP, packet.payload), 0)
            self.check_answer_without_a_checksum(client)

        self.for_each_client(check)
        self.program.stop()

    def check_answer_without_a_checksum(self, client: Client) -> None:
        """TAYGA drops those; so from a host that answers natively, as a tunnel end may (RFC 6936)."""
        with self.lab.plat.socket(socket.AF_INET6, socket.SOCK_DGRAM) as far, client.socket(socket.SOCK_DGRAM, 5 * SLOW) as near:
            far.settimeout(5 * SLOW)
            far.bind((WAN0.embed(self.lab.direct_v4), 0))
            far.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, 1)
            near.connect((self.lab.direct_v4, far.getsockname()[1]))
            near.send(b"hello")
            peer = far.recvfrom(100)[1]
            for size in (1, 1000):
                far.sendto(pattern(size), peer)
                self.assertEqual(near.recv(65536), pattern(size))

    def test_ipv4_options(self) -> None:
        self.start()
        options = {
            "router alert": "94040000",
            "record route": "0727 04" + "00" * 36 + "00",
            "timestamps": "442805" + "00" * 37,
            "no operation": "01" * 40,
        }

        def check(client: Client) -> None:
            for name, value in options.items():
                with self.subTest(name), self.conversation(client) as (near, far):
                    near.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex(value))
                    near.send(pattern(1000))
                    self.assertEqual(far.recv(65536), pattern(1000))
                    far.send(b"understood")
                    self.assertEqual(near.recv(100), b"understood")
            device = ("-I", client.device) if client.device else ()
            text = client.namespace.run("ping", "-n", "-R", "-c2", "-i0.2", *device, self.server)
            self.assertIn(" 0% packet loss", text)

        self.for_each_client(check)
        self.program.stop()


class Errors(Translation):
    """ICMP errors of others, and the CLAT's own."""

    def way(self, client: Client) -> list[str]:
        """All that answers between client and server. On the routed leg the router's IPv6 forwarding is one more hop."""
        ipv6 = ["the CLAT", *(["the router"] if self.fast_path == "off" else []), "the relay", "the NAT64's host", "TAYGA"]
        first = ["192.168.7.1"] if client is self.host else []
        return [*first, *[CLAT for _ in ipv6], "192.175.48.1", self.server]

    def test_traceroute_shows_every_hop(self) -> None:
        self.start()

        def check(client: Client) -> None:
            for protocol in (socket.IPPROTO_UDP, socket.IPPROTO_ICMP):
                with self.subTest(protocol=protocol):
                    self.assertEqual(probe.traceroute(client, self.server, by=protocol), self.way(client))
            device = ("-i", client.device) if client.device else ()
            text = client.namespace.run("traceroute", "-n", "-q1", "-N1", "-w5", *device, self.server)
            self.assertEqual(re.findall(r"^ *\d+  (\S+)", text, re.MULTILINE), self.way(client), text)

        self.for_each_client(check)
        self.program.stop()

    def test_time_exceeded_for_the_ipv6_side(self) -> None:
        self.start()
        far, clat = WAN0.embed(self.lab.direct_v4), self.clat_v6()
        with (
            self.lab.plat.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as errors,
            self.lab.plat.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock,
        ):
            errors.settimeout(5 * SLOW)
            sock.bind((far, 0))
            # The relay takes one, and on the routed leg the router's IPv6 forwarding another.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 3 if self.fast_path == "off" else 2)
            sock.sendto(b"too far", (clat, 4000))
            while True:
                message, origin = errors.recvfrom(2000)
                if message[:2] == b"\3\0":
                    break
            self.assertEqual(origin[0], clat)
            self.assertEqual(Ipv6.parse(message[8:]).payload[8:], b"too far")
        self.program.stop()

    def test_port_unreachable_reaches_the_socket(self) -> None:
        self.start()

        def check(client: Client) -> None:
            with client.socket(socket.SOCK_DGRAM, 5 * SLOW) as sock:
                sock.connect((self.server, 9999))
                sock.send(b"anybody?")
                with self.assertRaises(ConnectionRefusedError):
                    sock.recv(100)
            with self.conversation(client) as (near, far):
                near.close()
                far.send(b"still there?")
                with self.assertRaises(ConnectionRefusedError):
                    far.recv(100)

        self.for_each_client(check)
        self.program.stop()

    def test_errors_of_a_native_ipv6_router(self) -> None:
        routes = {"prohibit": ("192.175.48.9", (3, 10)), "unreachable": ("192.175.48.10", (3, 1))}
        for kind, (target, _) in routes.items():
            self.lab.provider.ip(f"route add {kind} {WAN0.embed(target)}/128")
        self.start()

        def check(client: Client) -> None:
            for target, error in routes.values():
                with probe.wants_errors(client.socket(socket.SOCK_DGRAM)) as sock:
                    sock.connect((target, 5000))
                    sock.send(b"anybody?")
                    answer = probe.next_error(sock, 5 * SLOW)
                self.assertIsNotNone(answer)
                self.assertEqual((answer.source, answer.kind, answer.code), (CLAT, *error))

        self.for_each_client(check)
        self.program.stop()

    def test_own_errors_are_limited(self) -> None:
        rate = 50
        self.start(change=lambda config: config.update({"icmp-rate": f"{rate}/s"}))

        def check(client: Client) -> None:
            hops = 2 if client is self.host else 1
            with tap.icmp_messages(client.namespace) as errors, client.socket(socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
                begin = time.monotonic()
                while time.monotonic() - begin < 2:
                    for _ in range(20):
                        sock.sendto(b"flood", (self.server, 40000))
                    time.sleep(0.005)
                # Answers keep the order of what is answered: nothing of the flood comes behind this one.
                until = self.wait_answer_to_another_port(sock, errors)
                answers = len(errors.find(lambda error: error.source == CLAT and error.kind == 11))
                self.assertLessEqual(answers, rate + rate * (until - begin) + 1)
                self.assertGreaterEqual(answers, rate * 2 * 0.75)  # the client before may have left no burst

        self.for_each_client(check)
        self.program.stop()

    def wait_answer_to_another_port(self, sock: socket.socket, errors: tap.Tap[tap.IcmpMessage]) -> float:
        port = (40001).to_bytes(2, "big")

        def answered() -> bool:
            sock.sendto(b"last", (self.server, 40001))
            return bool(errors.find(lambda error: error.kind == 11 and error.quoted.payload[2:4] == port))

        wait_until(answered, 10 * SLOW, "an answer after the flood", every=0.05)
        return time.monotonic()


class Offloads(LabTest):
    """What a packet costs clatd, as strace sees it from outside."""

    uplinks = (WAN0,)

    def setUp(self) -> None:
        super().setUp()
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.start(change=every_interface(fast_path="off"), env=NO_LEAK_CHECK)
        self.client = self.lab.client(WAN0)
        self.server = self.lab.direct_v4

    @contextlib.contextmanager
    def calls(self) -> Iterator[list[tuple[str, str]]]:
        """Name and the rest of each system call made inside, to be looked at behind the with block."""
        path, seen = self.lab.scratch / "strace.out", []
        with traced(self.program.wait_clatd("wan0"), path, "all", "-xx", "-s", "11"):
            yield seen
            self.client.udp_echo(self.server)  # after which all calls before it have returned
        seen += re.findall(r"^\d+ +(\w+)(\(.*)", path.read_text(), re.MULTILINE)

    def largest(self, calls: list[tuple[str, str]]) -> dict[tuple[str, int], int]:
        """Bytes of the largest packet, by call and IP version."""
        found: dict[tuple[str, int], int] = {}
        for name, rest in calls:
            # Behind ten bytes of vnet header.
            packet = re.match(r'\(3, "(?:\\x..){10}\\x([46]).".* = (\d+)$', rest)
            if name in ("read", "write") and packet:
                key = name, int(packet[1])
                found[key] = max(found.get(key, 0), int(packet[2]) - 10)
        return found

    def bulk(self) -> None:
        for upload in (True, False):
            bulk = Bulk(self.client, self.server, upload=upload)
            bulk.wait_bytes(3 * MEGABYTE)
            bulk.finish()

    def test_tcp_super_packets_stay_so(self) -> None:
        with self.calls() as calls:
            self.bulk()
        largest = self.largest(calls)
        for call in itertools.product(("read", "write"), (4, 6)):
            self.assertGreater(largest[call], 16_000, call)
        self.program.stop()

    def test_udp_super_packets_stay_so(self) -> None:
        """From Linux 6.2 on; before, the kernel cuts them up in front of the tun."""
        known = knows_udp_gso()
        size, count = 1200, 10
        whole = size * count + 28 if known else size + 28
        data = pattern(size * count)
        with (
            self.lab.plat.socket(socket.AF_INET6, socket.SOCK_DGRAM) as far,
            self.client.socket(socket.SOCK_DGRAM, 5 * SLOW) as near,
        ):
            far.settimeout(5 * SLOW)
            far.bind((WAN0.embed(self.server), 0))
            near.connect((self.server, far.getsockname()[1]))
            near.send(b"hello")
            far.connect(far.recvfrom(100)[1])
            with self.calls() as calls:
                for sender, receiver in ((near, far), (far, near)):
                    sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
                    sender.send(data)
                    self.assertEqual(b"".join(receiver.recv(65536) for _ in range(count)), data)
        expected = {(name, version): whole + (20 if version == 6 else 0) for name in ("read", "write") for version in (4, 6)}
        self.assertEqual(self.largest(calls), expected)
        self.program.stop()

    def test_no_call_but_to_move_packets(self) -> None:
        """Counting, the clock and the MTU cost none; a few are the answers to the supervisor, and a sanitizer's."""
        with self.calls() as calls:
            self.bulk()
        count = Counter(name for name, _ in calls)
        self.assertGreater(count["read"], 100)
        self.assertLessEqual(count["poll"], count["read"])
        self.assertLess(len(calls) - count["read"] - count["write"] - count["poll"], count["read"] / 10, count)
        self.program.stop()
