"""A stop leaves nothing; PID 1; a second instance."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from harness.case import LabTest
from harness.clatvisor import SLOW, children_of, cmdline, run_to_exit
from harness.lab import WAN0, wait_until
from harness.snapshot import program_exists, programs


class Stop(LabTest):
    lan = True

    def test_leaves_everything_as_before_the_start(self) -> None:
        before = self.snapshot()
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                program = self.start()
                ours = [
                    program_id
                    for link in ("wan0", "v4-wan0")
                    for ids in programs(self.lab.router, link).values()
                    for program_id in ids
                ]
                self.assertGreaterEqual(len(ours), 3)
                for uplink in self.uplinks:
                    self.lab.client(uplink).udp_echo(self.lab.server_v4)
                took = program.stop(number)
                self.assertLess(took, 5 + 1)
                self.assertTrue(program.find("supervisor.stopped"))
                self.assert_unchanged(before, f"after {number.name}")
                wait_until(lambda ours=ours: not any(map(program_exists, ours)), 10, "the kernel frees the programs")

    def test_with_a_child_that_does_not_answer(self) -> None:
        before = self.snapshot()
        program = self.start(change=lambda config: config.update({"clatd": {"stop-timeout": "1s"}}))
        os.kill(program.wait_clatd("wan0"), signal.SIGSTOP)
        took = program.stop()
        self.assertLess(took, 1 + 1 * SLOW)
        self.assert_unchanged(before, "after a stop")

    def test_while_starting(self) -> None:
        before = self.snapshot()
        program = self.start(up=False)
        program.wait_event("clat.spawned")
        program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_while_in_backoff(self) -> None:
        before = self.snapshot()
        program = self.start(change=lambda config: config.update({"clatd": {"restart": {"initial": "20s"}}}))
        os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
        program.wait_event("clat.backoff", "wan0")
        self.assertLess(program.stop(), 5)
        self.assert_unchanged(before, "after a stop")

    def test_killed_supervisor_takes_its_children_along(self) -> None:
        program = self.start()
        children = children_of(program.pid)
        self.assertEqual(len(children), 2)
        program.kill()
        wait_until(lambda: not any(cmdline(child)[0:1] != [""] and cmdline(child) for child in children), 5 * SLOW, "children die")

    def kill_supervisor(self) -> None:
        pid = self.program.pid
        self.program.kill()
        wait_until(lambda: not cmdline(pid), 5 * SLOW, "the supervisor is gone")

    def test_killed_then_cleaned_up(self) -> None:
        before = self.snapshot()
        program = self.start()
        self.kill_supervisor()
        self.assertIsNotNone(self.lab.router.link_index("v4-wan0"))
        done = run_to_exit(self.lab, "--config", str(program.config_file), "--cleanup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_unchanged(before, "after --cleanup")

    def test_killed_then_started_again(self) -> None:
        """What is there is taken over: the same tun and address, and a stop still leaves nothing."""
        before = self.snapshot()
        program = self.start()
        first = {uplink.name: program.find("clat.up", uplink.name)[0] for uplink in self.uplinks}
        tuns = {uplink.tun: self.lab.router.link_index(uplink.tun) for uplink in self.uplinks}
        self.kill_supervisor()
        since = program.mark()
        program.start().wait_up(since=since)
        for uplink in self.uplinks:
            program.wait_event("supervisor.adopted", uplink.name, since=since)
            again = program.find("clat.up", uplink.name, since)[0]
            self.assertEqual((again["v4"], again["v6"]), (first[uplink.name]["v4"], first[uplink.name]["v6"]))
            self.assertEqual(self.lab.router.link_index(uplink.tun), tuns[uplink.tun])
            self.lab.client(uplink).tcp_echo(self.lab.server_v4)
            self.assertEqual(self.lab.client(uplink).ping(self.lab.server_v4), 3)
        program.stop()
        self.assert_unchanged(before, "after a stop")


class SecondInstance(LabTest):
    uplinks = (WAN0,)
    nat64 = False

    def test_on_the_same_state_directory_is_refused(self) -> None:
        program = self.start()
        before = self.snapshot()
        second = run_to_exit(self.lab, "--config", str(program.config_file))
        self.assertEqual(second.returncode, 71, second.stderr)
        self.assertEqual(len(second.stderr.splitlines()), 1, second.stderr)
        self.assertIn(str(program.state_dir), second.stderr)
        self.assert_unchanged(before, "after the second one")
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        program.stop()


class Pid1(LabTest):
    """In a container without an init clatvisor is PID 1: nobody else reaps, and default signal actions do not kill."""

    uplinks = (WAN0,)

    def test_starts_respawns_reaps_and_stops(self) -> None:
        before = self.snapshot()
        program = self.start(wrap=["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"])
        clatvisor = program.pid
        self.assertEqual(self.inner_pid(clatvisor), 1)
        client = self.lab.client(WAN0)
        client.udp_echo(self.lab.server_v4)

        since = program.mark()
        os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
        program.wait_event("clat.ready", "wan0", since=since)
        self.assertEqual(client.ping(self.lab.server_v4), 3)

        # An orphan of the namespace becomes a child of PID 1 and must not stay a zombie.
        subprocess.run(
            ["nsenter", f"--target={clatvisor}", "--pid", "sh", "-c", "(sleep 0.3 & exec sleep 0.1) & exec true"], check=True
        )
        wait_until(lambda: [cmdline(child)[0] for child in children_of(clatvisor)] == ["clatd-wan0"], 15 * SLOW, "orphans are reaped")

        code_before = program.pid
        os.kill(code_before, signal.SIGTERM)
        self.assertEqual(program.wait_exit(), 0)
        self.assertEqual(program.garbage, [])
        self.assert_unchanged(before, "after a stop")

    @staticmethod
    def inner_pid(pid: int) -> int:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
        raise AssertionError("no NSpid")
