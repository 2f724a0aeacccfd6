"""`lan: {offload: [IFACE…]}`: flows of the LAN that the firewall lets through go past the stack, and no others."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable

from harness import conntrack, tap
from harness.case import WITHOUT_TCX, LabTest
from harness.clatvisor import SLOW, run_to_exit
from harness.lab import WAN0, wait_until
from harness.packet import UDP, Ipv4, udp
from harness.traffic import ECHO, Bulk, Client, UdpStream

MEGABYTE = 1_000_000
WAYS = ("to_ipv6", "to_ipv4")
PROOF = 5  # seconds: how long a proof counts
REST = 1  # seconds: between two readings of all connections
ESTABLISHED = 3  # of TCP


class ShortcutTest(LabTest):
    uplinks = (WAN0,)
    nat64 = False  # its own host answers
    lan = True

    def setUp(self) -> None:
        super().setUp()
        self.host = Client(self.lab.lan)
        self.server = self.lab.direct_v4
        self.config: dict = {}

    def serve(self, *, change: Callable[[dict], None] | None = None, **options) -> None:
        def with_offload(config: dict) -> None:
            config["lan"] = {"offload": ["lan0"]}
            config["log"] = {"health-interval": "100ms"}
            if change:
                change(config)
            self.config.update(config)

        self.start(change=with_offload, **options)
        self.program.wait_event("shortcut.served", "lan0")

    def counters(self) -> dict[str, int]:
        """As a health line says that was collected wholly after now."""
        line = self.program.wait_event("health", "wan0", since=self.program.mark(), count=2)
        return {key: int(value) for key, value in line.fields.items() if str(value).isdigit()}

    def taken(self) -> list[int]:
        now = self.counters()
        return [now[f"shortcut_{way}_packets"] for way in WAYS]

    def wait_taken(self, *, more: int = 20, ways: tuple[str, ...] = WAYS, timeout: float = 15 * SLOW) -> None:
        """Until the shortcut has carried so many more packets, each way."""
        before = self.counters()

        def enough() -> bool:
            now = self.counters()
            return all(now[f"shortcut_{way}_packets"] - before[f"shortcut_{way}_packets"] >= more for way in ways)

        wait_until(enough, timeout, "the shortcut is taken")

    def flows(self) -> int:
        return self.counters().get("shortcut_flows", 0)

    def wait_flows(self, number: int, timeout: float = 10 * SLOW) -> None:
        wait_until(lambda: self.flows() == number, timeout, f"{number} flows")

    def tracked(self) -> list[conntrack.Connection]:
        return [each for each in conntrack.connections(self.lab.router) if each.original.source == self.lab.lan_host]

    def rules(self, text: str) -> None:
        self.lab.router.run("nft", "-f", "-", input=text)

    def forward(self, rule: str) -> None:
        self.rules(f"table inet fw {{ chain forward {{ type filter hook forward priority 0; {rule}; }}; }}")

    def stream(self, rate: int = 500) -> UdpStream:
        stream = UdpStream(self.host, self.server, rate=rate)
        self.addCleanup(stream.finish)
        return stream

    def assert_nothing_comes(self, stream: UdpStream, within: float) -> None:
        """Nothing more after a moment."""
        wait_until(lambda: self.is_silent(stream), within, "nothing comes any more")

    @staticmethod
    def is_silent(stream: UdpStream) -> bool:
        before = stream.received
        time.sleep(0.3)
        return stream.received == before


class Works(ShortcutTest):
    def life(self, **options) -> None:
        before = self.snapshot()
        self.serve(**options)
        for upload in (False, True):
            bulk = Bulk(self.host, self.server, upload=upload)
            self.wait_taken(more=1000)
            bulk.wait_bytes(20 * MEGABYTE)
            bulk.finish()
        stream = UdpStream(self.host, self.server, rate=500)
        self.wait_taken(more=100)
        sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        self.assertEqual(self.counters()["drop_kernel"], 0)
        self.program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_by_tcx(self) -> None:
        self.life()

    def test_by_clsact(self) -> None:
        self.life(wrap=WITHOUT_TCX)

    def test_nearly_all_of_a_download_takes_it(self) -> None:
        self.serve()
        download = Bulk(self.host, self.server)
        self.wait_taken(more=1000)
        before = self.counters()
        time.sleep(2 * PROOF)
        after = self.counters()
        download.finish()
        stack, shortcut = (after[name] - before[name] for name in ("fast_to_ipv4_tcp_packets", "shortcut_to_ipv4_packets"))
        print(f"{stack} packets through the stack, {shortcut} past it")
        self.assertGreater(stack, 0)  # every few seconds the firewall is asked
        self.assertLess(stack, shortcut / 20)
        self.program.stop()

    def test_another_port_behind_the_masquerade(self) -> None:
        """Two hosts' flows of one port: the second gets another one."""
        lab = self.lab
        lab.lan.ip("address add 192.168.7.3/24 dev eth0")
        self.serve()
        socks = []
        for source in (lab.lan_host, "192.168.7.3"):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                sock = lab.lan.socket(socket.AF_INET, kind)
                sock.settimeout(5 * SLOW)
                sock.bind((source, 40000))
                sock.connect((self.server, ECHO))
                socks.append(sock)
        ports = {each.reply.ports[1] for each in conntrack.connections(lab.router) if each.original.ports[0] == 40000}
        end = time.monotonic() + 4
        sizes = (1, 2, 63, 700, 1300)
        while time.monotonic() < end:
            for sock in socks:
                for size in sizes:
                    data = os.urandom(size)
                    sock.sendall(data)
                    got = b""
                    while len(got) < size:
                        got += sock.recv(4096)
                    self.assertEqual(got, data)
        for sock in socks:
            sock.close()
        self.assertGreater(len(ports), 1)
        self.assertGreater(min(self.taken()), 100)
        self.program.stop()


class Ends(ShortcutTest):
    def test_with_its_connection(self) -> None:
        self.serve()
        bulk = Bulk(self.host, self.server)
        self.wait_taken()
        (connection,) = [each for each in self.tracked() if each.original.protocol == socket.IPPROTO_TCP]
        self.assertEqual(connection.tcp_state, ESTABLISHED)
        self.assertTrue(all(flags & conntrack.LIBERAL for flags in connection.tcp_flags))
        bulk.finish()
        self.wait_flows(0)
        states = [each.tcp_state for each in self.tracked() if each.original == connection.original]
        self.assertNotIn(ESTABLISHED, states)  # the end was seen, by FIN or RST
        self.program.stop()

    def test_when_its_connection_is_deleted(self) -> None:
        """At once: the firewall is asked anew, and drops it."""
        self.serve()
        stream = self.stream()
        self.wait_taken()
        # Rules may be there before: nobody tells of those of another kind, as iptables'.
        self.forward(f"udp dport {ECHO} ct state new drop")
        self.wait_taken()
        for each in self.tracked():
            conntrack.delete(self.lab.router, each.original)
        self.assert_nothing_comes(stream, 2 * SLOW)
        self.assertEqual(self.flows(), 0)
        self.program.stop()

    def test_when_the_firewall_changes(self) -> None:
        self.serve()
        stream = self.stream()
        self.wait_taken()
        begin = time.monotonic()
        self.forward(f"udp dport {ECHO} drop")
        wait_until(lambda: self.is_silent(stream), 2 * SLOW, "nothing comes any more")
        self.assertLess(time.monotonic() - begin, 2 * SLOW)
        before = self.taken()
        time.sleep(2 * REST)
        self.assertEqual(self.taken(), before)
        self.rules("delete table inet fw")
        self.wait_taken()
        self.program.stop()

    def test_when_the_stack_does_not_forward_any_more(self) -> None:
        """Nobody tells; the flow cannot prove itself."""
        self.serve()
        stream = self.stream()
        self.wait_taken()
        self.lab.router.sysctl("net/ipv4/conf/lan0/forwarding", 0)
        self.assert_nothing_comes(stream, 2 * PROOF * SLOW)
        self.lab.router.sysctl("net/ipv4/conf/lan0/forwarding", 1)
        self.wait_taken()
        self.program.stop()

    def test_when_a_route_changes(self) -> None:
        self.serve()
        stream = UdpStream(self.host, self.server, rate=500)
        self.wait_taken()
        self.lab.router.ip("route add 192.0.2.200/32 dev lan0")
        self.wait_flows(0)
        self.wait_taken()
        self.lab.router.ip(f"route add blackhole {self.lab.lan_host}/32")
        self.assert_nothing_comes(stream, 2 * SLOW)
        stream.finish()
        self.program.stop()

    def test_at_a_reload_and_nothing_is_lost(self) -> None:
        self.serve()
        stream = UdpStream(self.host, self.server, rate=500)
        self.wait_taken()
        since = self.program.mark()
        self.program.reload(self.config)
        self.program.wait_event("shortcut.served", "lan0", since=since)
        self.wait_taken()
        self.program.reload({**self.config, "lan": {}})
        wait_until(lambda: "shortcut_flows" not in self.counters(), 5 * SLOW, "not served any more")
        before = self.taken()
        time.sleep(1)
        self.assertEqual(self.taken(), before)
        self.program.reload(self.config)
        self.wait_taken()
        sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        self.program.stop()


class Refused(ShortcutTest):
    def test_answers_that_the_firewall_drops(self) -> None:
        """Connection tracking sees them, and calls the flow assured; the way in is never proven."""
        self.forward(f'iifname "{WAN0.tun}" udp sport {ECHO} drop')
        self.serve()
        stream = self.stream()
        self.wait_flows(1)
        self.wait_taken(ways=("to_ipv6",))
        time.sleep(PROOF + 2)
        self.assertEqual(stream.received, 0)
        self.assertEqual(self.taken()[1], 0)
        self.program.stop()

    def test_marked_connections(self) -> None:
        self.rules("table inet fw { chain pre { type filter hook prerouting priority 0; ct mark set 1; }; }")
        self.serve()
        self.assert_stays_away()

    def test_redirected_connections(self) -> None:
        self.rules(
            f"table ip fw {{ chain pre {{ type nat hook prerouting priority -100; "
            f'iifname "lan0" udp dport 4000 dnat to {self.server}:{ECHO}; }}; }}'
        )
        self.serve()
        with self.lab.lan.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5 * SLOW)
            sock.connect((self.server, 4000))
            end = time.monotonic() + 4
            while time.monotonic() < end:
                sock.send(b"hello")
                self.assertEqual(sock.recv(100), b"hello")
        self.assertTrue(any(each.assured for each in self.tracked()))
        self.assertEqual(self.taken(), [0, 0])
        self.program.stop()

    def assert_stays_away(self) -> None:
        stream = self.stream()
        time.sleep(4)
        self.assertTrue(any(each.assured for each in self.tracked()))
        self.assertGreater(stream.received, 0)
        self.assertEqual((self.taken(), self.flows()), ([0, 0], 0))
        self.program.stop()

    def test_devices_that_are_none(self) -> None:
        def change(config: dict) -> None:
            config["lan"] = {"offload": ["lan0", "nowhere0", "wan0"]}

        self.serve(change=change)
        for device, reason in (("nowhere0", "no such interface"), ("wan0", "uplink")):
            self.assertIn(reason, self.program.wait_event("shortcut.unavailable", device)["reason"])
        self.program.stop()

    def test_without_bpf_it_says_so(self) -> None:
        def change(config: dict) -> None:
            config["lan"] = {"offload": ["lan0"]}
            config["bpf-dir"] = self.lab.scratch / "no-bpffs"

        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.start(change=change)
        self.assertIn("fast path", self.program.wait_event("shortcut.unavailable", "lan0")["reason"])
        self.host.tcp_echo(self.server)
        self.program.stop()

    def test_the_sources_of_others(self) -> None:
        """A host of another LAN that sends as this one is none of the flow."""
        lab = self.lab
        lab.router.ip("link add lan1 type veth peer name out1", "link set lan1 up")
        lab.router.ip(f"link set out1 netns {lab.lan.name}")
        lab.lan.ip("link set out1 up")
        self.serve(change=lambda config: config["lan"].update(offload=["lan0", "lan1"]))
        stream = self.stream()
        self.wait_taken()
        (flow,) = [each.original for each in self.tracked() if each.original.protocol == UDP]
        router_mac = lab.router.ip_json("link", "show", "lan1")[0]["address"]
        forged = bytes(Ipv4(flow.source, flow.destination, UDP, udp(flow.source, flow.destination, flow.ports, b"forged")))
        header = bytes.fromhex(router_mac.replace(":", "") + "020000000099" + "0800")
        lab.router.sysctl("net/ipv4/conf/lan1/rp_filter", 1)
        with tap.incoming(lab.plat, WAN0.far, tap.ETH_P_IPV6) as uplink:
            with lab.lan.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
                sock.bind(("out1", 0))
                for _ in range(50):
                    sock.send(header + forged)
            self.wait_taken()
            self.assertEqual([data for data in uplink.items() if b"forged" in data], [])
        stream.finish()
        self.program.stop()


class Killed(ShortcutTest):
    def test_nothing_is_lost_and_nothing_outlives_it(self) -> None:
        self.serve()
        download = Bulk(self.host, self.server)
        stream = UdpStream(self.host, self.server, rate=500)
        self.wait_taken(more=200)
        os.kill(self.program.pid, signal.SIGKILL)
        self.program.wait_exit()
        download.wait_bytes(5 * MEGABYTE)
        time.sleep(PROOF + 1)  # nobody answers for the flows any more: they take the way through the stack
        download.wait_bytes(5 * MEGABYTE)
        since = self.program.mark()
        self.program.start()
        self.program.wait_up(since=since)
        self.program.wait_event("shortcut.served", "lan0", since=since)
        self.wait_taken(more=200)
        self.assertLess(download.finish(), 1 * SLOW)
        sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        self.program.stop()

    def test_what_is_not_wished_any_more_goes(self) -> None:
        for options in ({}, {"wrap": WITHOUT_TCX}):
            with self.subTest(options):
                before = self.snapshot()
                self.serve(**options)
                os.kill(self.program.pid, signal.SIGKILL)
                self.program.wait_exit()
                self.program.write_config(self.program.default_config())
                since = self.program.mark()
                self.program.start()
                self.program.wait_up(since=since)
                self.assertNotIn("clat_", self.attached())
                self.program.stop()
                self.assert_unchanged(before, "after a stop")

    def test_cleanup_takes_all_away(self) -> None:
        for options in ({}, {"wrap": WITHOUT_TCX}):
            with self.subTest(options):
                before = self.snapshot()
                self.serve(**options)
                os.kill(self.program.pid, signal.SIGKILL)
                self.program.wait_exit()
                done = run_to_exit(self.lab, "--config", str(self.program.config_file), "--cleanup")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assert_unchanged(before, "after --cleanup")

    def attached(self) -> str:
        return self.lab.router.run("bpftool", "net", "show", "dev", "lan0", check=False)

    def test_repaired_when_somebody_detaches_it(self) -> None:
        self.serve(change=lambda config: config.update({"audit-interval": "200ms"}), wrap=WITHOUT_TCX)
        stream = self.stream()
        self.wait_taken()
        since = self.program.mark()
        self.lab.router.run("tc", "qdisc", "del", "dev", "lan0", "clsact")
        self.program.wait_event("shortcut.unavailable", "lan0", since=since)
        self.program.wait_event("shortcut.served", "lan0", since=since)
        self.wait_taken()
        stream.finish()
        self.program.stop()


class Floods(ShortcutTest):
    def test_more_is_told_than_there_is_room_for(self) -> None:
        """All is forgotten, and read anew."""
        self.serve()
        stream = UdpStream(self.host, self.server, rate=200)
        self.wait_taken()
        (flow,) = [each.original for each in self.tracked() if each.original.protocol == UDP]
        os.kill(self.program.pid, signal.SIGSTOP)
        try:
            for _ in range(5000):
                conntrack.touch(self.lab.router, flow)
        finally:
            os.kill(self.program.pid, signal.SIGCONT)
        wait_until(lambda: self.counters()["shortcut_overruns"] > 0, 10 * SLOW, "an overrun is counted")
        self.wait_taken()
        sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        self.program.stop()

    def test_new_flows(self) -> None:
        """Each of one packet, to nobody: none is taken in, and none of the others loses one."""
        self.serve()
        stream = UdpStream(self.host, self.server, rate=200)
        self.wait_taken()
        with self.lab.lan.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for port in range(1024, 1024 + 20000):
                sock.sendto(b"new", (self.server, port))
                if port % 50 == 0:
                    time.sleep(0.002)
        self.wait_taken()
        self.assertLess(self.flows(), 5)
        sent, lost = stream.finish()
        self.assertEqual(lost, 0, f"of {sent}")
        self.program.stop()
