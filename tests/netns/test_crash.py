"""kill -9 of anything at any moment: always ends in the wanted state, and --cleanup always in nothing."""

from __future__ import annotations

import os
import random
import signal
import time

from harness import leaks
from harness.case import LabTest, rounds
from harness.clatvisor import SLOW, Clatvisor, children_of, cmdline, run_to_exit
from harness.lab import Uplink, wait_until
from harness.traffic import UdpStream

RESTART = {"restart": {"initial": "1ms", "max": "10ms", "jitter": 0}}


def many(count: int) -> tuple[Uplink, ...]:
    return tuple(
        Uplink(f"up{n}", f"2001:db8:64:{n}::/96", f"2001:db8:1:{n}::", f"192.0.2.{8 * n}/29", 512 + n, f"02:00:00:00:{n:02x}:02")
        for n in range(count)
    )


def name_of(pid: int) -> str:
    """Empty unless it is a clatd: it may be a zombie, or not have executed anything yet."""
    name = (cmdline(pid) or [""])[0]
    return name if name.startswith("clatd-") else ""


class Children(LabTest):
    nat64 = False
    uplinks = many(8)

    def test_laps_of_kills(self) -> None:
        """Of any child, whenever it runs, not waiting for the others."""
        program = self.start(change=lambda config: config.update(clatd=RESTART))
        before = leaks.count(program)
        clatvisor = program.pid
        dice = random.Random(seed := int.from_bytes(os.urandom(4)))
        print(f"seed {seed}")
        begin = time.monotonic()
        done, laps = 0, rounds(1000, "kill -9 of a clatd among eight")
        killed: dict[str, int] = {}
        while done < laps:
            children = [(name_of(pid), pid) for pid in children_of(clatvisor)]
            fresh = [(name, pid) for name, pid in children if name and killed.get(name) != pid]
            if not fresh:
                time.sleep(0.001)
                continue
            name, pid = dice.choice(fresh)
            os.kill(pid, signal.SIGKILL)
            killed[name] = pid
            done += 1
            self.assertLess(time.monotonic() - begin, 300 * SLOW)
        print(f"{laps} in {time.monotonic() - begin:.1f} s")
        for uplink in self.uplinks:
            wait_until(lambda u=uplink: self.program.clatd_pid(u.name) not in (None, killed.get(f"clatd-{u.name}")), 10 * SLOW, uplink.name)
            self.lab.client(uplink).udp_echo(self.lab.direct_v4)
        leaks.assert_none(before, program)
        self.assertEqual(program.pid, clatvisor)
        self.assertEqual(program.find("clat.down"), [])
        program.stop()
        self.assertEqual(len(program.find("clat.exited", signal="SIGKILL")), laps)


class Supervisor(LabTest):
    nat64 = False

    def setUp(self) -> None:
        super().setUp()
        self.before = self.snapshot()
        self.program = Clatvisor(self.lab)
        self.both = self.program.default_config() | {"clatd": RESTART}
        for metric, interface in enumerate(self.both["interfaces"].values(), 3000):
            interface["default-route"] = {"metric": metric}
        self.one = self.both | {"interfaces": {"wwan0": self.both["interfaces"]["wwan0"]}}
        self.dice = random.Random(seed := int.from_bytes(os.urandom(4)))
        print(f"seed {seed}")

    def works(self) -> bool:
        children = set(map(name_of, children_of(self.program.process.pid)))
        return children >= {f"clatd-{uplink.name}" for uplink in self.uplinks} and all(
            self.lab.client(uplink).udp_works(self.lab.direct_v4) for uplink in self.uplinks
        )

    def kill(self) -> None:
        process, children = self.program.process, children_of(self.program.process.pid)
        process.kill()
        process.wait()
        wait_until(lambda: not any(map(name_of, children)), 5 * SLOW, "children die with it")

    def start_and_kill(self) -> None:
        self.program.start()
        time.sleep(self.dice.uniform(0, 0.25))

    def reload_and_kill(self) -> None:
        self.program.write_config(self.one if self.dice.random() < 0.5 else self.both)
        self.program.process.send_signal(signal.SIGHUP)
        time.sleep(self.dice.uniform(0, 0.1))

    def stop_and_kill(self) -> None:
        self.program.process.send_signal(signal.SIGTERM)
        time.sleep(self.dice.uniform(0, 0.15))

    def test_at_random_moments(self) -> None:
        """What the last one left is what the next one finds, however often."""
        for number in range(rounds(200, "kill -9 of clatvisor, of start, reload and stop")):
            kind = self.dice.choice([self.start_and_kill, self.reload_and_kill, self.stop_and_kill])
            with self.subTest(number=number, kind=kind.__name__):
                self.program.write_config(self.both)
                if kind != self.start_and_kill:
                    self.program.start()
                    wait_until(self.works, 10 * SLOW, f"IPv4 on both: {self.program.tail()}")
                kind()
                self.kill()
                if self.dice.random() < 0.3:
                    self.assert_cleanup_leaves_nothing()
        self.program.write_config(self.both)
        since = self.program.mark()
        self.program.start().wait_up(since=since)
        self.assertTrue(self.works())
        self.program.stop()
        self.assert_unchanged(self.before, "after a stop")

    def assert_cleanup_leaves_nothing(self) -> None:
        done = run_to_exit(self.lab, "--config", str(self.program.config_file), "--cleanup")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_unchanged(self.before, "after --cleanup")
        files = [file.name for file in self.program.state_dir.iterdir() if file.name != "lock"]
        self.assertEqual([file for file in files if not file.endswith(".tmp")], [])

    def test_handover_loses_nothing(self) -> None:
        self.program.write_config(self.both)
        self.program.start().wait_up()
        streams = [UdpStream(self.lab.client(uplink), self.lab.direct_v4, rate=1000) for uplink in self.uplinks]
        addresses = {uplink.name: self.program.find("clat.up", uplink.name)[0]["v6"] for uplink in self.uplinks}
        for _ in range(rounds(10, "handovers by SIGUSR2")):
            tuns = [self.lab.router.link_index(uplink.tun) for uplink in self.uplinks]
            since = self.program.mark()
            self.program.stop(signal.SIGUSR2)
            self.program.start().wait_up(since=since)
            self.assertEqual(len(self.program.find("supervisor.adopted", since=since)), 2)
            self.assertEqual([self.lab.router.link_index(uplink.tun) for uplink in self.uplinks], tuns)
            for uplink in self.uplinks:
                self.assertEqual(self.program.find("clat.up", uplink.name, since)[0]["v6"], addresses[uplink.name])
        for stream in streams:
            sent, lost = stream.finish()
            self.assertGreater(sent, 0)
            self.assertEqual(lost, 0)
        self.program.stop()
        self.assert_unchanged(self.before, "after a stop")


# What may lie in a state directory: none of it may be believed, stop the start, or be there at every start.
STALE = {
    "wan0.record": "format=1\nboot=00000000-0000-0000-0000-000000000000\nnamespace=4:1:1\nuplink=wan0\ntun=v4-wan0\nifindex=2\n"
    "leg=fast\nmetric=2048\nv4=192.0.0.4\nv6=2001:db8:1::4\nprefix=64:ff9b::/96\n",
    "wwan0.record": "\x00\xff garbage\n" * 100,
    "other0.record": "",
    "long0.record": "x" * (1 << 20),
    "sysctls": "format=1\nboot=no\n",
    "lock": "not a number\n",
}


class StaleState(LabTest):
    nat64 = False

    def test_is_recognised_and_replaced(self) -> None:
        before = self.snapshot()
        program = self.program = Clatvisor(self.lab)
        program.state_dir.mkdir(mode=0o700)
        for name, text in STALE.items():
            (program.state_dir / name).write_text(text, errors="surrogateescape")
        (program.state_dir / "folder0.record").mkdir()
        (program.state_dir / "link0.record").symlink_to("/etc/passwd")
        os.mkfifo(program.state_dir / "fifo0.record")
        program.start().wait_up()
        self.assertGreater(len(program.find("record.ignored")), 2)
        ours = {"wan0.record", "wwan0.record", "wan0.tun", "wwan0.tun", "lock", "sysctls", "folder0.record"}
        self.assertEqual({file.name for file in program.state_dir.iterdir()} - ours, set())
        self.assertEqual(program.find("supervisor.adopted"), [])
        self.assertTrue(all(self.lab.client(uplink).udp_works(self.lab.direct_v4) for uplink in self.uplinks))
        program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_that_was_lost_with_everything_in_place(self) -> None:
        """The tuns carry our mark and nobody holds them: they are made anew, not mistaken for somebody else's."""
        before = self.snapshot()
        program = self.start()
        program.kill()
        for file in program.state_dir.iterdir():
            file.write_text("garbage\n") if file.name.startswith("wan0") else file.unlink()
        since = program.mark()
        program.start().wait_up(since=since)
        self.assertTrue(all(self.lab.client(uplink).udp_works(self.lab.direct_v4) for uplink in self.uplinks))
        program.kill()
        for file in program.state_dir.iterdir():
            file.unlink()
        done = run_to_exit(self.lab, "--config", str(program.config_file), "--cleanup")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_unchanged(before, "after --cleanup")
