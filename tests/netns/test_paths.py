"""Which path a packet takes, by witnesses outside the program; the child's file descriptors and arguments."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator

from harness import snapshot
from harness.case import LabTest, every_interface
from harness.clatvisor import NO_LEAK_CHECK, SLOW, cmdline, open_fds
from harness.lab import WAN0, wait_until
from harness.strace import traced
from harness.traffic import Bulk

WITHOUT_BPF = ["setpriv", "--bounding-set=-bpf,-sys_admin,-perfmon"]


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        with open(f"/proc/{pid}/stat") as stat:
            wait_until(lambda: stat.seek(0) == 0 and " T " in stat.read(), 5, f"{pid} is stopped")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class FastPath(LabTest):
    uplinks = (WAN0,)

    def test_tcp_udp_and_ping_pass_while_clatd_is_stopped(self) -> None:
        program = self.start()
        client = self.lab.client(WAN0)
        clatd = program.wait_clatd("wan0")
        with stopped(clatd):
            for server in (self.lab.server_v4, self.lab.direct_v4):
                client.tcp_echo(server)
                client.udp_echo(server)
                client.udp_echo(server, size=1400)
            self.assertEqual(client.ping(self.lab.server_v4, count=3, wait=2), 3)
        self.assertEqual(program.wait_clatd("wan0"), clatd)
        program.stop()

    def test_clatd_reads_what_expires_and_nothing_else(self) -> None:
        """Counted by strace, from outside."""
        program = self.start(env=NO_LEAK_CHECK)
        client = self.lab.client(WAN0)
        clatd = program.wait_clatd("wan0")

        def tun_reads(work) -> int:
            trace = self.lab.scratch / "strace.out"
            with traced(clatd, trace, "read,readv,recvmsg"):
                work()
            # Not the ones that found nothing.
            return len(re.findall(r"(?:read|readv)\(3, .*\) = [1-9]", trace.read_text()))

        def echoes() -> None:
            for _ in range(100):
                client.udp_echo(self.lab.direct_v4)
            client.tcp_echo(self.lab.direct_v4)
            self.assertEqual(client.ping(self.lab.direct_v4, count=10, interval=0.05), 10)

        def expiring() -> None:
            argv = ("ping", "-n", "-c", "10", "-i", "0.05", "-W", "1", "-t", "1", self.lab.direct_v4)
            self.lab.router.run(*argv, check=False)

        self.assertLess(tun_reads(echoes), 20)
        self.assertGreaterEqual(tun_reads(expiring), 10)
        program.stop()

    def test_child_has_the_documented_fds_and_arguments(self) -> None:
        program = self.start()
        clatd = program.wait_clatd("wan0")
        fds = open_fds(clatd)
        self.assertEqual(sorted(fds), [0, 1, 2, 3, 4], fds)
        self.assertEqual(fds[0], "/dev/null")
        self.assertEqual(fds[3], "/dev/net/tun")
        self.assertTrue(fds[4].startswith("socket:"), fds)
        up = program.find("clat.up", "wan0")[0]
        argv = cmdline(clatd)
        wanted = ["clatd-wan0", "-i", "wan0", "-p", WAN0.prefix, "-4", up["v4"], "-6", up["v6"], "-t", "3"]
        self.assertEqual(argv[: len(wanted)], wanted)
        # Ours are long options, and "--control-fd 4" is among them.
        ours = argv[len(wanted) :]
        self.assertEqual(ours[ours.index("--control-fd") + 1], "4")
        self.assertTrue(all(option.startswith("--") for option in ours[::2]), ours)
        program.stop()

    def test_child_has_no_privileges(self) -> None:
        program = self.start()
        clatd = program.wait_clatd("wan0")
        with open(f"/proc/{clatd}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[key], 16), 0, key)
        self.assertNotIn("0", status["Uid"].split())
        self.assertNotIn("0", status["Gid"].split())
        self.assertEqual(status["NoNewPrivs"], "1")
        program.stop()


class RoutedLeg(LabTest):
    uplinks = (WAN0,)

    def routed_works(self, *hooks_of_tun: str) -> None:
        client = self.lab.client(WAN0)
        self.assertEqual(snapshot.programs(self.lab.router, "wan0"), {})
        self.assertEqual(list(snapshot.programs(self.lab.router, "v4-wan0")), list(hooks_of_tun))
        self.assertEqual(client.ping(self.lab.server_v4), 3)
        client.udp_echo(self.lab.server_v4)
        client.tcp_echo(self.lab.server_v4)
        with stopped(self.program.wait_clatd("wan0")):
            self.assertFalse(client.udp_works(self.lab.direct_v4, timeout=1))

    def test_fast_path_off(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        before = self.snapshot()
        program = self.start(change=every_interface(fast_path="off"))
        self.routed_works("ingress")  # what clatd writes is checked
        self.assertEqual(program.find("fastpath.attached") + program.find("fastpath.unavailable"), [])
        program.stop()
        self.assert_unchanged(before, "sysctls, routes and the rest after a stop")

    def test_without_bpf_it_falls_back_and_says_so_once(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        before = self.snapshot()
        program = self.start(wrap=WITHOUT_BPF)
        self.routed_works()
        self.assertEqual(len(program.find("fastpath.unavailable", "wan0")), 1, program.tail())
        self.assertEqual(program.find("fastpath.attached"), [])
        program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_without_bpf_it_is_taken_over_and_changes_to_the_fast_path_when_there_is_bpf(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        before = self.snapshot()
        program = self.start(wrap=WITHOUT_BPF)
        bulk = Bulk(self.lab.client(WAN0), self.lab.server_v4)
        bulk.wait_bytes(1_000_000)
        for wrap, path in ((WITHOUT_BPF, "routed"), ((), "tcx")):
            program.kill()
            program.wrap = list(wrap)
            since = program.mark()
            program.start()
            program.wait_event("supervisor.adopted", "wan0", since=since)
            program.wait_event("clat.up", "wan0", since=since, path=path)
            self.assertEqual(program.find("address.chosen", since=since), [])
            bulk.wait_bytes(1_000_000)
        bulk.finish()
        program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_required_but_without_bpf_it_fails(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        program = self.start(up=False, wrap=WITHOUT_BPF, change=every_interface(fast_path="required"))
        failed = program.wait_event("clat.failed", "wan0")
        self.assertTrue(failed["reason"])
        self.assertEqual(program.find("clat.up"), [])
        program.stop()

    def test_forwarding_off_is_told(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 0)
        program = self.start(up=False, change=every_interface(fast_path="off"))
        program.wait_event("forwarding.off")
        self.assertEqual(self.lab.router.sysctl("net/ipv6/conf/all/forwarding"), "0")
        program.stop()
