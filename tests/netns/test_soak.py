"""Hours of work in minutes, and minutes of idleness by the call."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable

from harness import leaks
from harness.case import ROUNDS, LabTest
from harness.clatvisor import BIN, NO_LEAK_CHECK, SLOW, own_memory
from harness.lab import SPARE0, WAN0, WWAN0, Uplink, wait_until
from harness.strace import traced


def sanitized() -> bool:
    return b"libasan" in subprocess.run(["ldd", str(BIN / "clatvisor")], capture_output=True, check=True).stdout


class Soak(LabTest):
    """Events at random: afterwards as many descriptors, and as much memory, as after the first tenth of them."""

    uplinks = (WAN0, WWAN0, SPARE0)
    nat64 = False
    # Half an hour with --full. The sanitizers watch for three minutes each time, the release build for a short while.
    seconds = 1800 if ROUNDS >= 10 else 180 if sanitized() else 20

    def test_random_events(self) -> None:
        self.dice = random.Random(seed := int.from_bytes(os.urandom(4)))
        print(f"seed {seed}")
        restart = {"restart": {"initial": "10ms", "max": "100ms"}}
        config = {"clatd": restart, "audit-interval": "500ms", "log": {"health-interval": "1s"}}
        # The sanitizer keeps what was freed, 256 MiB of it unless told otherwise.
        program = self.start(change=lambda wanted: wanted.update(config), env={"ASAN_OPTIONS": "quarantine_size_mb=4"})
        self.config = program.config_file.read_text()
        pid, before = program.pid, leaks.count(program)
        memory: list[int] = []
        kinds = [self.flap, self.lose_carrier, self.lose_address, self.renumber, self.change_mtu, self.kill_child, self.stop_child,
                 self.reload, self.reload_broken, self.remove_foreign, self.dump, self.transfer, self.datagrams]  # fmt: skip
        done: dict[str, int] = {}
        begin = time.monotonic()
        while (elapsed := time.monotonic() - begin) < self.seconds:
            kind = self.dice.choice(kinds)
            done[kind.__name__] = done.get(kind.__name__, 0) + 1
            kind(self.dice.choice(self.uplinks))
            if elapsed > self.seconds / 10 and not memory or elapsed > self.seconds * 0.99:
                self.settle()
                memory.append(own_memory(pid))
        self.settle()
        memory.append(own_memory(pid))
        print(f"rounds: {sum(done.values())} events in {self.seconds} s; memory {memory[0]} KiB, then {memory[-1]} KiB")
        leaks.assert_none(before, program, timeout=30 * SLOW)
        self.assertEqual(program.pid, pid)
        self.assertLess(memory[-1] - memory[0], 20_000 if sanitized() else 500)
        program.stop()

    def settle(self) -> None:
        """All is well again on every uplink."""
        self.program.write_config(self.config)
        self.program.send_signal(signal.SIGHUP)
        for uplink in self.uplinks:
            self.make_usable(uplink)
        for uplink in self.uplinks:
            client = self.lab.client(uplink)
            wait_until(
                lambda u=uplink, c=client: self.program.clatd_pid(u.name) and c.udp_works(self.lab.direct_v4),
                20 * SLOW, f"IPv4 on {uplink.name}:\n{self.program.tail()}", every=0.05,
            )  # fmt: skip

    def make_usable(self, uplink: Uplink) -> None:
        if self.lab.router.link_index(uplink.name) is None:
            self.lab.make_link(uplink)
            return
        self.lab.router.ip(f"link set {uplink.name} down mtu 1500", f"link set {uplink.name} up")
        self.lab.carrier(uplink, True)
        self.lab.add_address(uplink)

    # The events. Each leaves the uplink usable, at once or with the next.

    def flap(self, uplink: Uplink) -> None:
        if self.dice.random() < 0.5:
            self.lab.delete_link(uplink)
        self.make_usable(uplink)

    def lose_carrier(self, uplink: Uplink) -> None:
        self.lab.carrier(uplink, False)
        self.lab.carrier(uplink, True)

    def lose_address(self, uplink: Uplink) -> None:
        self.lab.router.ip(f"address flush dev {uplink.name} scope global")
        self.make_usable(uplink)

    def renumber(self, uplink: Uplink) -> None:
        other = f"2001:db8:ff:{self.dice.randrange(1, 999)}::2/64"
        self.lab.router.ip(f"address add {other} dev {uplink.name} nodad", f"address del {other} dev {uplink.name}")

    def change_mtu(self, uplink: Uplink) -> None:
        self.lab.router.ip(f"link set {uplink.name} mtu {self.dice.randrange(1300, 1500)}")

    def kill_child(self, uplink: Uplink) -> None:
        if pid := self.program.clatd_pid(uplink.name):
            os.kill(pid, signal.SIGKILL)

    def stop_child(self, uplink: Uplink) -> None:
        """For good, unless somebody notices that it is wedged."""
        if pid := self.program.clatd_pid(uplink.name):
            os.kill(pid, signal.SIGSTOP)

    def reload(self, uplink: Uplink) -> None:
        wanted = self.program.default_config()
        if self.dice.random() < 0.5:
            del wanted["interfaces"][uplink.name]
        else:
            wanted["interfaces"][uplink.name]["mtu"] = self.dice.randrange(1300, 1500)
        self.program.write_config(wanted | {"clatd": {"restart": {"initial": "10ms", "max": "100ms"}}, "audit-interval": "500ms"})
        self.program.send_signal(signal.SIGHUP)

    def reload_broken(self, _uplink: Uplink) -> None:
        self.program.write_config("interfaces: [\n")
        self.program.send_signal(signal.SIGHUP)

    def dump(self, _uplink: Uplink) -> None:
        self.program.send_signal(signal.SIGUSR1)

    def remove_foreign(self, uplink: Uplink) -> None:
        """Somebody takes away what is ours."""
        gone = self.dice.choice([
            f"link del {uplink.tun}", f"link set {uplink.tun} down", f"-4 route flush dev {uplink.tun}",
            f"-4 address flush dev {uplink.tun}", "-6 neigh flush proxy", "-6 route flush type blackhole",
        ])  # fmt: skip
        self.lab.router.run("ip", *gone.split(), check=False)

    def transfer(self, uplink: Uplink) -> None:
        self.attempt(lambda: self.lab.client(uplink).tcp_echo(self.lab.direct_v4, timeout=1))

    def datagrams(self, uplink: Uplink) -> None:
        self.attempt(lambda: self.lab.client(uplink).udp_echo(self.lab.direct_v4, size=self.dice.randrange(9, 4000), tries=1, timeout=0.2))

    @staticmethod
    def attempt(deed: Callable[[], None]) -> None:
        """It may well fail: whatever is under way on that uplink."""
        try:
            deed()
        except (OSError, AssertionError):
            pass


class Idle(LabTest):
    """With nothing to do it sleeps: nobody wakes it but the timers of the config."""

    nat64 = False
    seconds = 30

    def test_wakes_only_for_its_timers(self) -> None:
        program = self.start(env=NO_LEAK_CHECK)  # audit-interval 5s, health-interval 60s
        trace = self.lab.scratch / "strace.out"
        with traced(program.pid, trace, "epoll_wait,epoll_pwait") as strace, contextlib.suppress(subprocess.TimeoutExpired):
            strace.wait(self.seconds)
        # The last line is the wait that strace's end cut short.
        wakes = [line for line in trace.read_text().splitlines() if re.search(r"= [0-9]+$", line)]
        audits = self.seconds // 5 + 1
        answers = len(self.uplinks)  # of each clatd, to each audit
        per_minute = len(wakes) * 60 / self.seconds
        print(f"rounds: {self.seconds} s of idleness: {len(wakes)} wake-ups, {per_minute:.0f} a minute, {per_minute * 1440:.0f} in 24 h")
        # A tick, a turn for what it left to do, and the answers.
        self.assertLessEqual(len(wakes), audits * (2 + answers))
        program.stop()
