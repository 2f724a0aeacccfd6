"""clatd knows the uplink's MTU, the size to fragment at and the rate of errors: from its start, and when they change."""

from __future__ import annotations

import contextlib
import select
import socket
import time

from harness.case import LabTest, every_interface
from harness.clatvisor import cmdline
from harness.lab import WAN0, wait_until

ETH_P_IPV6 = 0x86DD
FRAGMENT, ICMPV6, ECHO_REQUEST = 44, 58, 128


class Told(LabTest):
    uplinks = (WAN0,)

    def option(self, name: str) -> str:
        argv = cmdline(self.program.wait_clatd("wan0"))
        return argv[argv.index(name) + 1]

    @contextlib.contextmanager
    def on_the_wire(self):
        """What arrives at the far end of wan0, IPv6 headers first."""
        with self.lab.plat.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IPV6)) as sock:
            sock.bind((WAN0.far, ETH_P_IPV6))
            yield sock

    def echo_request_leaves_as(self, size: int) -> list[int]:
        """Sizes of the IPv6 packets that one echo request with so much data becomes; negative: fragments."""
        source = socket.inet_pton(socket.AF_INET6, self.program.find("address.chosen", "wan0")[-1]["v6"])
        sizes: list[int] = []
        with self.on_the_wire() as wire:
            argv = ("ping", "-n", "-c", "1", "-W", "2", "-M", "dont", "-s", str(size), "-I", WAN0.tun)
            self.lab.router.run(*argv, self.lab.direct_v4)
            while select.select([wire], [], [], 0)[0]:
                packet = wire.recv(65536)
                if packet[8:24] != source:
                    continue
                if packet[6] == FRAGMENT:
                    sizes.append(-len(packet))
                elif packet[6] == ICMPV6 and packet[40] == ECHO_REQUEST:
                    sizes.append(len(packet))
        return sizes

    def test_from_the_start(self) -> None:
        self.start(change=lambda config: config.update({"icmp-rate": "7/s"}))
        self.assertEqual(self.option("--mtu"), "1500")
        self.assertEqual(self.option("--lowest-ipv6-mtu"), "1500")
        self.assertEqual(self.option("--icmp-rate"), "7")
        self.assertEqual(self.echo_request_leaves_as(1400), [1448])
        self.program.stop()

    def test_a_change_is_told_to_the_running_one(self) -> None:
        program = self.start()
        clatd = program.wait_clatd("wan0")
        config = program.default_config()
        every_interface(lowest_ipv6_mtu=1280)(config)
        program.reload(config)
        wait_until(lambda: self.echo_request_leaves_as(1400)[:1] == [-1280], 5, "fragments of 1280")
        self.lab.router.ip("link set wan0 mtu 1400")
        self.lab.plat.ip(f"link set {WAN0.far} mtu 1400")
        every_interface(lowest_ipv6_mtu="auto")(config)
        program.reload(config)
        wait_until(lambda: self.echo_request_leaves_as(1300) == [1348], 5, "whole packets")
        self.assertEqual(program.wait_clatd("wan0"), clatd)
        self.assertEqual(program.find("clat.replaced") + program.find("clat.exited"), [])
        program.stop()

    def errors_for(self, packets: int) -> int:
        """Time Exceeded for packets that die on their first hop, which is the CLAT."""
        with self.lab.client(WAN0).socket(socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
            sock.setblocking(False)
            errors = 0

            def collect() -> None:
                nonlocal errors
                with contextlib.suppress(BlockingIOError):
                    while True:
                        sock.recvmsg(2048, 1024, socket.MSG_ERRQUEUE)
                        errors += 1

            for _ in range(packets):
                with contextlib.suppress(OSError):  # an error of the packet before
                    sock.sendto(b"x", (self.lab.server_v4, 33434))
                collect()
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                select.select([sock], [], [], 0.05)
                collect()
            return errors

    def test_errors_keep_to_the_rate(self) -> None:
        program = self.start(change=lambda config: config.update({"icmp-rate": "5/s"}))
        begin = time.monotonic()
        errors = self.errors_for(200)
        most = 5 + 5 * (time.monotonic() - begin) + 1
        self.assertGreaterEqual(errors, 3)
        self.assertLessEqual(errors, most)
        config = program.default_config()
        config["icmp-rate"] = "1000/s"
        clatd = program.wait_clatd("wan0")
        program.reload(config)
        program.wait_clatd("wan0", other_than=clatd)
        program.wait_event("clat.ready", "wan0", count=2)
        self.assertGreater(self.errors_for(200), most)
        program.stop()
