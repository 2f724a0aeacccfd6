"""More signals, reloads and notifications than can be taken in: nothing is lost that matters."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

from harness.case import ROUNDS, LabTest, rounds
from harness.clatvisor import NO_LEAK_CHECK, SLOW, Clatvisor, children_of, cmdline
from harness.faults import Faults
from harness.lab import WAN0, WWAN0, Uplink, wait_until
from harness.traffic import UdpStream

RESTART = {"restart": {"initial": "10ms", "max": "50ms", "jitter": 0}}


class Signals(LabTest):
    nat64 = False

    @contextlib.contextmanager
    def storm(self, *numbers: signal.Signals) -> Iterator[None]:
        """Two senders, as fast as they can."""
        text = f"import os\nwhile True:\n for n in {[int(n) for n in numbers]}: os.kill({self.program.pid}, n)\n"
        senders = [subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL) for _ in range(2)]
        try:
            yield
        finally:
            for sender in senders:
                sender.kill()
                sender.wait()

    def start_with_long_config(self) -> Clatvisor:
        program = Clatvisor(self.lab, env=NO_LEAK_CHECK)
        config = program.default_config() | {"clatd": RESTART, "ipv4-pool": "10.64.0.0/16"}
        keys = {"nat64-prefix": "64:ff9b::/96", "ipv6-address": "auto", "mtu": 1400, "fast-path": "off", "mark": 7,
                "net-id": 9, "lowest-ipv6-mtu": 1280, "default-route": False, "queues": 1}  # fmt: skip
        absent = 2000 if ROUNDS >= 1 else 200
        config["interfaces"] |= {f"absent{number}": keys for number in range(absent)}
        program.write_config(config)
        self.assertGreater(len(program.config_file.read_text().splitlines()), 10 * absent)
        self.program = program.start()
        program.wait_up(timeout=60)
        return program

    def test_reloads_of_a_long_file_hide_neither_exits_nor_the_stop(self) -> None:
        before = self.snapshot()
        program = self.start_with_long_config()
        with self.storm(signal.SIGHUP):
            since = program.mark()
            program.wait_event("config.loaded", since=since, count=2, timeout=30)
            os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
            program.wait_event("clat.exited", "wan0", since=since, signal="SIGKILL", timeout=30)
            program.wait_event("clat.ready", "wan0", since=since, timeout=30)
            self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
            took = program.stop(timeout=30)
        print(f"stopped after {took:.1f} s of a storm")
        self.assert_unchanged(before, "after a stop")

    def test_any_signal(self) -> None:
        """Also those that are none of ours, or libuv's."""
        program = self.start(change=lambda config: config.update(clatd=RESTART), env=NO_LEAK_CHECK)
        stormy = (signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE, signal.SIGWINCH, signal.SIGCONT, signal.SIGURG)
        with self.storm(*stormy):
            for _ in range(rounds(10, "kill -9 of clatd in a storm of signals")):
                since = program.mark()
                for uplink in self.uplinks:
                    os.kill(program.wait_clatd(uplink.name), signal.SIGKILL)
                for uplink in self.uplinks:
                    program.wait_event("clat.exited", uplink.name, since=since, signal="SIGKILL", timeout=20)
                    program.wait_event("clat.ready", uplink.name, since=since, timeout=20)
            program.stop(timeout=20)

    def test_reloads_without_change(self) -> None:
        program = self.start()
        children = [program.wait_clatd(uplink.name) for uplink in self.uplinks]
        stream = UdpStream(self.lab.client(WAN0), self.lab.direct_v4, rate=500)
        since = program.mark()
        for _ in range(rounds(1000, "reloads without change")):
            program.reload()
        sent, lost = stream.finish()
        self.assertGreater(sent, 0)
        self.assertEqual(lost, 0)
        self.assertEqual([program.wait_clatd(uplink.name) for uplink in self.uplinks], children)
        self.assertEqual({event.name for event in program.events[since:]} - {"config.loaded", "health"}, set())
        program.stop()


class Pid1(LabTest):
    """The entrypoint of a container: a root of its own, read-only, and nobody else to wait for orphans."""

    nat64 = False
    uplinks = (WAN0,)

    def test_orphans_by_the_hundred(self) -> None:
        before = self.snapshot()
        root = (f"mount --rbind {self.lab.scratch} {self.lab.scratch} && mount -o remount,ro,bind / && "
                'mount -t tmpfs tmpfs /run && exec "$@"')  # fmt: skip
        contain = ["unshare", "--pid", "--mount", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
        program = self.start(wrap=[*contain, "sh", "-c", root, "sh"], change=lambda config: config.update(clatd=RESTART))
        pid = program.pid
        # Each subshell ends before what it started.
        orphans = "i=0; while [ $i -lt 300 ]; do (sleep 0.2 &) ; i=$((i+1)); done"
        for _ in range(rounds(3, "300 orphans for PID 1")):
            since = program.mark()
            with subprocess.Popen(["nsenter", f"--target={pid}", "--pid", "sh", "-c", orphans]) as parent:
                os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
                program.wait_event("clat.exited", "wan0", since=since, signal="SIGKILL")
                program.wait_event("clat.ready", "wan0", since=since)
            self.assertEqual(parent.returncode, 0)
        wait_until(lambda: [cmdline(child)[:1] for child in children_of(pid)] == [["clatd-wan0"]], 15 * SLOW, "no zombie stays")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(program.wait_exit(), 0)
        self.assertEqual(program.garbage, [])
        self.assert_unchanged(before, "after a stop")


class Overrun(LabTest):
    """A receive buffer of some notifications, and thousands of them: afterwards all is as the kernel has it."""

    nat64 = False
    uplinks = (WAN0, WWAN0)

    def setUp(self) -> None:
        super().setUp()
        self.faults = Faults(self.lab.scratch)
        self.faults.shrink_receive_buffers(4096)
        # No audit helps.
        self.program = self.start(env=self.faults.env, change=lambda config: config.update({"audit-interval": "1h", "clatd": RESTART}))
        self.lab.router.ip("link add noise type veth peer name noisy", "link set noisy up")

    @contextlib.contextmanager
    def noise(self) -> Iterator[None]:
        """Links that are nobody's go up and down, until the end of the block and some more."""
        storm = self.lab.router.popen("ip", "-batch", "-", stdin=subprocess.PIPE, text=True)
        lap = "link set noise up\nlink set noise down\n" * 100
        stop = threading.Event()

        def blow() -> None:
            while not stop.is_set():
                storm.stdin.write(lap)
            storm.stdin.write(lap)
            storm.stdin.close()

        blowing = threading.Thread(target=blow)
        blowing.start()
        try:
            yield
        finally:
            stop.set()
            blowing.join()
            self.assertEqual(storm.wait(60), 0)

    def end_somehow(self, uplink: Uplink) -> str:
        """What the uplink shall be when the storm is over."""
        router, end = self.lab.router, self.random.choice(["usable", "down", "no carrier", "no address", "smaller"])
        router.ip(f"link set {uplink.name} down mtu 1500", f"link set {uplink.name} up")  # its addresses go
        self.lab.carrier(uplink, True)
        self.lab.add_address(uplink)
        match end:
            case "down":
                router.ip(f"link set {uplink.name} down")
            case "no carrier":
                self.lab.carrier(uplink, False)
            case "no address":
                self.lab.remove_address(uplink)
            case "smaller":
                router.ip(f"link set {uplink.name} mtu 1400")
        return end

    def is_as(self, end: str, uplink: Uplink) -> bool:
        tun = self.lab.router.run("ip", "-4", "-o", "route", "show", "default", "dev", uplink.tun, check=False)
        works = bool(tun) and self.lab.client(uplink).udp_works(self.lab.direct_v4)
        if end not in ("usable", "smaller"):
            return not tun
        mtu = self.lab.router.ip_json("link", "show", uplink.tun)[0]["mtu"] if tun else 0
        return works and mtu == (1400 if end == "smaller" else 1500) - 28

    def test_resynced(self) -> None:
        self.random = random.Random(seed := int.from_bytes(os.urandom(4)))
        print(f"seed {seed}")
        for _ in range(rounds(4, "storms of link flaps, with overruns")):
            since = self.program.mark()
            with self.noise():
                for _ in range(20):
                    self.end_somehow(self.random.choice(self.uplinks))
                self.program.wait_event("netlink.overrun", since=since)
                ends = [self.end_somehow(uplink) for uplink in self.uplinks]
            self.program.wait_event("netlink.resynced", since=since)
            for uplink, end in zip(self.uplinks, ends):
                wait_until(lambda e=end, u=uplink: self.is_as(e, u), 10 * SLOW, f"{uplink.name}: {end}, {self.program.tail()}", every=0.1)
        print(f"{len(self.program.find('netlink.overrun'))} overruns")
        self.program.stop()
