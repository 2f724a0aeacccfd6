"""Android's dialects: what a clatd of that kind is handed, down to each option, and that IPv4 works with the bundled one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from ipaddress import IPv6Address

from harness.case import LabTest
from harness.clatvisor import BIN, NO_LEAK_CHECK, Clatvisor, cmdline
from harness.lab import WAN0, wait_until

AF_INET6, AF_PACKET = int(socket.AF_INET6), int(socket.AF_PACKET)
IFF_TUN, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x0001, 0x4000, 0x0100
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF


class Handed(LabTest):
    uplinks = (WAN0,)

    def start_stub(self, dialect: str, **options) -> Clatvisor:
        path = self.lab.scratch / "android"
        shutil.copy(BIN / "stub_clatd", path)

        def change(config: dict) -> None:
            config["clatd"] = {"path": path, "dialect": dialect, "restart": {"initial": "100ms", "jitter": 0}, "stop-timeout": "300ms"}
            config["interfaces"]["wan0"].update({"mark": "0xcafe", "net-id": 7})
            config["audit-interval"] = "200ms"

        program = self.start(up=False, change=change, **options)
        program.wait_event("child.output", "wan0", line="told")
        return program

    def told(self) -> list[str]:
        return [event["line"] for event in self.program.find("child.output", "wan0")]

    def fd(self, number: int) -> str:
        [line] = [line for line in self.told() if line.startswith(f"fd {number} ")]
        return line

    def addresses(self) -> tuple[str, str]:
        chosen = self.program.find("address.chosen", "wan0")[-1]
        return chosen["v4"], chosen["v6"]

    def check_tun(self) -> None:
        line = self.fd(3)
        self.assertRegex(line, r"^fd 3 /dev/net/tun nonblock=1 tun=v4-wan0 flags=0x\w+$")
        flags = int(line.rsplit("0x", 1)[1], 16)
        self.assertEqual(flags & (IFF_TUN | IFF_VNET_HDR | IFF_MULTI_QUEUE), IFF_TUN)
        info = self.lab.router.ip_json("-d", "link", "show", "v4-wan0")[0]["linkinfo"]["info_data"]
        self.assertEqual((info["pi"], info["vnet_hdr"]), (True, False))

    def test_since_2022(self) -> None:
        program = self.start_stub("aosp")
        v4, v6 = self.addresses()
        told = self.told()
        self.assertEqual(told[0], f"argv clatd-wan0 -i wan0 -p 64:ff9b:: -4 {v4} -6 {v6} -t 3 -r 4 -w 5")
        self.assertEqual(told[1], "environment empty")
        self.assertEqual([line.split()[1] for line in told if line.startswith("fd ")], ["0", "1", "2", "3", "4", "5"])
        self.assertTrue(self.fd(0).startswith("fd 0 /dev/null "))
        self.check_tun()
        self.check_packet_socket(v6)
        self.assertRegex(self.fd(5), f"nonblock=1 domain={AF_INET6} type={int(socket.SOCK_RAW)} protocol=255 mark=0xcafe$")
        self.assertIn(IPv6Address(v6).packed.hex(), self.lab.router.run("cat", "/proc/net/anycast6"))
        program.stop()
        self.assertNotIn(IPv6Address(v6).packed.hex(), self.lab.router.run("cat", "/proc/net/anycast6"))

    def check_packet_socket(self, v6: str) -> None:
        line = self.fd(4)
        self.assertIn(f"nonblock=0 domain={AF_PACKET} type={int(socket.SOCK_RAW)} ", line)
        self.assertIn("bound=0x86dd@wan0 auxdata=1 vnet_hdr=1", line)
        program = line.split("filter=")[1].split(",")
        steps = [[int(x, base) for x, base in zip(step.split(":"), (16, 10, 10, 16))] for step in program]
        words = [int.from_bytes(IPv6Address(v6).packed[i : i + 4]) for i in range(0, 16, 4)]
        expected = []
        for i, word in enumerate(words):
            expected += [[LOAD_WORD, 0, 0, NETWORK_HEADER + 24 + 4 * i], [JUMP_IF_EQUAL, 0, 7 - 2 * i, word]]
        self.assertEqual(steps[:8], expected)
        self.assertEqual([step[0] for step in steps[8:]], [RETURN, RETURN])
        self.assertGreaterEqual(steps[8][3], 65535)
        self.assertEqual(steps[9][3], 0)

    def test_of_2019(self) -> None:
        program = self.start_stub("aosp-2019")
        v4, v6 = self.addresses()
        told = self.told()
        self.assertEqual(told[0], f"argv clatd-wan0 -i wan0 -n 7 -m 0xcafe -p 64:ff9b:: -4 {v4} -6 {v6} -t 3")
        self.assertEqual(told[1], "environment empty")
        self.assertEqual([line.split()[1] for line in told if line.startswith("fd ")], ["0", "1", "2", "3"])
        self.check_tun()
        program.stop()

    def test_the_filter_is_there_before_the_first_packet(self) -> None:
        trace = self.lab.scratch / "trace"
        strace = ("strace", "-o", str(trace), "-e", "trace=socket,setsockopt,bind")
        program = self.start_stub("aosp", wrap=strace, env=NO_LEAK_CHECK)
        program.stop()
        lines = trace.read_text().splitlines()
        [at] = [i for i, line in enumerate(lines) if re.match(r"socket\(AF_PACKET, SOCK_RAW\|SOCK_CLOEXEC, ", line)]
        calls = [re.sub(r"setsockopt\(\d+, \w+, (\w+),.*|(bind)\(.*", r"\1\2", line) for line in lines[at + 1 : at + 5]]
        self.assertEqual(calls, ["PACKET_AUXDATA", "PACKET_VNET_HDR", "SO_ATTACH_FILTER", "bind"])

    def test_the_log_has_netds_lines(self) -> None:
        program = self.start_stub("aosp")
        v4, v6 = self.addresses()
        pid = program.wait_clatd("wan0")
        program.stop()
        self.assertEqual(
            [event["line"] for event in program.find("netd.line", "wan0")],
            [
                f"starting clatd on wan0 v4={v4} v6={v6} pfx96=64:ff9b::",
                "clatd started on wan0",
                f"Stopping clatd pid={pid} on wan0",
                "clatd on wan0 stopped",
            ],
        )

    def test_one_that_leaves_packets_in_the_tun_is_replaced(self) -> None:
        program = self.start_stub("aosp")
        program.wait_event("clat.up", "wan0")
        before = program.wait_clatd("wan0")
        # Time to live 1: whatever the fast path does, this is for clatd.
        with self.lab.client(WAN0).socket(socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            sock.sendto(b"x", (self.lab.server_v4, 33434))
        replaced = program.wait_event("clat.replaced", "wan0", timeout=15)
        self.assertEqual(replaced["reason"], "it left packets in the tun for 5000ms")
        program.wait_clatd("wan0", other_than=before)
        program.stop()

    def test_leaves_nothing_behind(self) -> None:
        before = self.snapshot()
        program = self.start_stub("aosp")
        program.wait_event("clat.up", "wan0")
        os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
        program.wait_event("clat.spawned", "wan0", count=2)
        program.stop()
        self.assert_unchanged(before, "after a stop")


class Bundled(LabTest):
    """clatvisor's own clatd in Android's place."""

    uplinks = (WAN0,)

    def check(self, dialect: str, fast_path: str) -> None:
        def change(config: dict) -> None:
            config["clatd"] = {"dialect": dialect}
            config["interfaces"]["wan0"]["fast-path"] = fast_path

        program = self.start(up=False, change=change)
        up = program.wait_event("clat.up", "wan0")
        self.assertEqual(up["path"] == "anycast", fast_path == "off", up.line)
        clatd = program.wait_clatd("wan0")
        client = self.lab.client(WAN0)
        wait_until(lambda: client.ping(self.lab.server_v4, count=1, wait=1), 10, "a ping gets through")
        client.tcp_echo(self.lab.server_v4)
        client.udp_echo(self.lab.server_v4)
        self.assertEqual(program.wait_clatd("wan0"), clatd)
        self.assertEqual(cmdline(clatd)[0], "clatd-wan0")
        program.stop()

    def test_since_2022(self) -> None:
        self.check("aosp", "auto")

    def test_since_2022_on_the_slow_path(self) -> None:
        self.check("aosp", "off")

    def test_of_2019(self) -> None:
        self.check("aosp-2019", "auto")

    def test_of_2019_on_the_slow_path(self) -> None:
        self.check("aosp-2019", "off")
