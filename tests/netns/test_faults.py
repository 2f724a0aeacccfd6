"""Every system call that the supervisor makes fails once: the interface at work recovers, the other one does not notice,
and nothing leaks."""

from __future__ import annotations

import errno
import os
import random
import re
import signal
import subprocess
import time
import unittest
from collections.abc import Callable, Iterable

from harness import leaks, snapshot
from harness.case import ROUNDS, LabTest
from harness.clatvisor import BIN, SLOW, Clatvisor, run_to_exit
from harness.faults import Faults, name_of
from harness.lab import WAN0, WWAN0, wait_until
from harness.traffic import UdpStream

# What the kernel may well answer to each; the first is the likeliest.
CODES = {
    "accept4": (errno.EMFILE,),
    "access": (errno.EACCES,),
    "bind": (errno.ENOMEM,),
    "bpf": (errno.ENOMEM, errno.EPERM),
    "connect": (errno.ENOENT,),
    "execvp": (errno.ENOMEM, errno.ENOENT),
    "faccessat": (errno.EACCES,),
    "fchmod": (errno.EROFS,),
    "fchmodat": (errno.EROFS,),
    "fchown": (errno.EPERM,),
    "fchownat": (errno.EPERM,),
    "fcntl": (errno.EMFILE,),
    "fdopendir": (errno.ENOMEM,),
    "flock": (errno.ENOLCK,),
    "fork": (errno.EAGAIN, errno.ENOMEM),
    "fstat": (errno.EIO,),
    "fstatat": (errno.ENOMEM,),
    "fstatfs": (errno.EIO,),
    "ftruncate": (errno.ENOSPC,),
    "getrandom": (errno.EINTR,),
    "getsockname": (errno.ENOBUFS,),
    "getsockopt": (errno.ENOMEM,),
    "ioctl": (errno.ENOMEM, errno.EBUSY),
    "kill": (errno.EPERM,),
    "listen": (errno.EADDRINUSE,),
    "lstat": (errno.ENOMEM,),
    "memfd_create": (errno.EMFILE, errno.ENOSYS),
    "mkdir": (errno.ENOSPC,),
    "mkdirat": (errno.ENOSPC,),
    "open": (errno.EMFILE,),
    "openat": (errno.ENOSPC, errno.EMFILE),
    "pipe2": (errno.EMFILE,),
    "poll": (errno.ENOMEM,),
    "prctl": (errno.EPERM,),
    "read": (errno.EIO,),
    "readlinkat": (errno.EIO,),
    "recv": (errno.ENOMEM,),
    "recvfrom": (errno.ENOMEM, errno.ENETDOWN),
    "recvmsg": (errno.ENOMEM,),
    "renameat": (errno.ENOSPC,),
    "rmdir": (errno.EBUSY,),
    "send": (errno.ENOBUFS,),
    "sendmsg": (errno.ENOBUFS,),
    "sendto": (errno.ENOBUFS,),
    "setsockopt": (errno.ENOMEM,),
    "signalfd": (errno.EMFILE,),
    "socket": (errno.EMFILE,),
    "socketpair": (errno.EMFILE,),
    "stat": (errno.EIO,),
    "statfs": (errno.EIO,),
    "unlink": (errno.EIO,),
    "unlinkat": (errno.EIO,),
    "waitid": (errno.EINTR,),
    "write": (errno.ENOSPC,),
}

# Of the system calls that the program and its libraries name, those that are not made to fail, and why.
CANNOT_FAIL = {"clock_gettime", "close", "geteuid", "getpid", "munmap", "nanosleep", "time"}
NOT_OURS = {"dup3", "epoll_create1", "epoll_ctl", "epoll_wait", "mmap"}  # of parts of libbpf that are not used
GOES_ON_WITHOUT = {"getrlimit", "setrlimit", "uname"}  # libbpf does
NEVER_IN_A_LAB = {"mount"}  # there is a bpffs

ALL = ROUNDS >= 10  # with --full


class Complete(unittest.TestCase):
    def test_each_call_that_is_made_is_made_to_fail(self) -> None:
        """By what the program, libbpf and libmnl import; the C library's names for 64 bits aside."""
        libraries = subprocess.run(["ldd", BIN / "clatvisor"], capture_output=True, text=True, check=True).stdout
        files = [BIN / "clatvisor", *re.findall(r"=> (\S*/lib(?:bpf|mnl)\.\S+)", libraries)]
        self.assertEqual(len(files), 3, libraries)
        symbols = subprocess.run(["nm", "-D", "--undefined-only", *files], capture_output=True, text=True, check=True).stdout
        imported = {name.removesuffix("64") for name in re.findall(r" U (\w+)@GLIBC", symbols)}
        numbers = subprocess.run(["cpp", "-dM", "-include", "sys/syscall.h", "/dev/null"], capture_output=True, text=True, check=True)
        calls = set(re.findall(r"__NR_(\w+)", numbers.stdout))
        self.assertGreater(len(calls), 200)
        spared = CANNOT_FAIL | NOT_OURS | GOES_ON_WITHOUT | NEVER_IN_A_LAB
        self.assertEqual(imported & calls - set(CODES) - spared, set())


class FaultTest(LabTest):
    nat64 = False

    def start_with_faults(self, *, dialect: str = "native", fast_path: str = "auto", **top: object) -> Clatvisor:
        """`fast_path`: of wan0."""
        self.faults = Faults(self.lab.scratch)
        self.program = Clatvisor(self.lab, env=self.faults.env)
        both = self.program.default_config() | {
            "clatd": {"dialect": dialect, "restart": {"initial": "10ms", "max": "50ms", "jitter": 0}},
            "audit-interval": "1h",
        } | top  # fmt: skip
        for metric, interface in enumerate(both["interfaces"].values(), 3000):
            interface["default-route"] = {"metric": metric}
        both["interfaces"]["wan0"]["fast-path"] = fast_path
        self.both = both
        self.one = both | {"interfaces": {"wwan0": both["interfaces"]["wwan0"]}}
        self.program.write_config(both)
        self.program.start()
        for uplink in self.uplinks:  # Android's clatd never says that it is ready
            self.program.wait_event("clat.up", uplink.name, timeout=15)
        return self.program

    def ask_until(self, config: dict, condition, what: str) -> None:
        """By reload, and again when that is what failed."""
        self.program.write_config(config)
        end = time.monotonic() + 20 * SLOW
        while not condition():
            if time.monotonic() > end:
                self.fail(f"{what} does not come true; the log ends:\n{self.program.tail()}")
            self.program.send_signal(signal.SIGHUP)
            try:
                wait_until(condition, 1, what)
            except AssertionError:
                continue

    def wan0_goes(self) -> None:
        self.ask_until(self.one, lambda: self.lab.router.link_index("v4-wan0") is None, "v4-wan0 is gone")

    def wan0_comes(self) -> None:
        client = self.lab.client(WAN0)
        self.ask_until(self.both, lambda: self.program.clatd_pid("wan0") and client.udp_works(self.lab.direct_v4), "IPv4 on wan0")


class Walk(FaultTest):
    """The n-th call fails, for each n that there is."""

    def walk(self, lap: Callable[[], None]) -> int:
        """`lap` with each call of it failing once; where a call is frequent, some of it: all with --full."""
        self.random = random.Random(seed := int.from_bytes(os.urandom(4)))
        print(f"seed {seed}")
        points = 0
        for call in self.faults.names():
            calls = self.faults.calls(call)
            lap()
            calls = self.faults.calls(call) - calls
            for code in CODES[call] if ALL else CODES[call][:1]:
                for after in self.some_of(calls):
                    points += self.fail_once(lap, call, after, code)
        print(f"rounds: {points} system calls that failed once")
        return points

    def some_of(self, calls: int) -> Iterable[int]:
        # Less than one point of each: of some, one.
        wanted = calls if ALL else int(2 * ROUNDS + self.random.random())
        if calls <= wanted:
            return range(calls)
        return sorted(self.random.sample(range(calls), wanted))

    def fail_once(self, lap: Callable[[], None], call: str, after: int, code: int) -> bool:
        with self.subTest(call=call, after=after, code=name_of(code)):
            self.faults.arm(call, after, code)
            lap()
            hit = self.faults.failed(call) > 0
            self.faults.disarm(call)
            return hit
        return False

    def test_an_interface_that_goes_and_comes(self) -> None:
        self.wan0_goes_and_comes()

    def test_one_on_the_routed_leg(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.wan0_goes_and_comes(fast_path="off")

    def test_one_with_androids_clatd(self) -> None:
        self.wan0_goes_and_comes(dialect="aosp", fast_path="off")

    def wan0_goes_and_comes(self, **options: str) -> None:
        program = self.start_with_faults(**options)
        other_child = program.wait_clatd("wwan0")

        def lap() -> None:
            self.wan0_goes()
            self.wan0_comes()
            self.assertEqual(program.wait_clatd("wwan0"), other_child)

        lap()  # whatever is made once is made now
        before = leaks.count(program)
        stream = UdpStream(self.lab.client(WWAN0), self.lab.direct_v4, rate=200)
        self.assertGreaterEqual(self.walk(lap), 10 * int(ROUNDS))
        sent, lost = stream.finish()
        self.assertGreater(sent, 0)
        self.assertEqual(lost, 0)
        self.assertEqual(program.find("clat.down", "wwan0"), [])
        leaks.assert_none(before, program)
        program.stop()

    def test_audits(self) -> None:
        """A question that failed is not an answer: nothing is taken for lost."""
        program = self.start_with_faults(**{"audit-interval": "100ms", "log": {"health-interval": "200ms"}})
        children = [program.wait_clatd(uplink.name) for uplink in self.uplinks]
        before = leaks.count(program)
        since = program.mark()

        def lap() -> None:
            for uplink in self.uplinks:  # an audit lies between
                program.wait_event("health", uplink.name, since=program.mark())

        self.assertGreaterEqual(self.walk(lap), 5 * int(ROUNDS))
        self.assertEqual([program.wait_clatd(uplink.name) for uplink in self.uplinks], children)
        for name in ("clat.down", "part.lost", "fastpath.lost"):
            self.assertEqual([event.line for event in program.find(name, since=since)], [])
        leaks.assert_none(before, program)
        program.stop()

    def test_a_start_and_a_stop(self) -> None:
        """It comes up all the same or says in one line why not; what a stop could not take away --cleanup does."""
        before = self.snapshot()
        self.start_with_faults().stop()
        self.assert_unchanged(before, "after a stop")
        self.refused = self.cleaned = 0

        def lap() -> None:
            self.program.garbage.clear()
            self.program.start()
            try:
                if self.comes_up():
                    self.program.stop()
                else:
                    self.assert_refused()
            finally:
                self.program.kill()
            self.assert_nothing_left(before)

        self.assertGreaterEqual(self.walk(lap), 10 * int(ROUNDS))
        print(f"{self.refused} starts refused, {self.cleaned} times cleaned up")

    def comes_up(self) -> bool:
        """Not by the log, whose lines may be among what fails."""
        clients = [self.lab.client(uplink) for uplink in self.uplinks]

        def done() -> bool:
            return self.program.process.poll() is not None or (
                all(self.lab.router.link_index(uplink.tun) for uplink in self.uplinks)
                and all(self.program.clatd_pid(uplink.name) for uplink in self.uplinks)
                and all(client.udp_works(self.lab.direct_v4) for client in clients)
            )

        wait_until(done, 15 * SLOW, "IPv4 on both, or an end")
        return self.program.process.poll() is None

    def assert_refused(self) -> None:
        self.assertIn(self.program.wait_exit(1), (70, 71, 78), self.program.tail())
        # A config file that could not be read is shown with a place and, if it was read in part, its line.
        self.assertIn(len(self.program.garbage), (1, 2, 3), self.program.garbage)
        self.refused += 1

    def assert_nothing_left(self, before: dict[str, object]) -> None:
        try:
            wait_until(lambda: not snapshot.differences(before, self.snapshot()), 0.5, "nothing is left")
        except AssertionError:
            done = run_to_exit(self.lab, "--config", str(self.program.config_file), "--cleanup")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assert_unchanged(before, "after --cleanup")
            self.cleaned += 1
