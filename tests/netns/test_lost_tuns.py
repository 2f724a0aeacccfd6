"""Tuns that somebody renames, marks or moves away, and tuns of another clatvisor: none of ours stays, none of its goes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator

from harness import snapshot
from harness.case import LabTest, every_interface
from harness.clatvisor import BIN, Clatvisor, children_of, run_to_exit, to_yaml
from harness.lab import WAN0, wait_until


class Ours(LabTest):
    uplinks = (WAN0,)

    def tuns(self) -> list[str]:
        """In all namespaces of the lab."""
        namespaces = (self.lab.router, self.lab.server)
        return [link["ifname"] for each in namespaces for link in each.ip_json("link", "show", "type", "tun")]

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """It sees nothing of what is done meanwhile."""
        self.program.send_signal(signal.SIGSTOP)
        yield
        with contextlib.suppress(ProcessLookupError, AssertionError):
            os.kill(self.pid, signal.SIGCONT)

    def start_and_remember(self) -> Clatvisor:
        program = self.start()
        self.pid = program.pid
        return program

    def killed(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.program.wait_exit()

    def start_again(self) -> None:
        since = self.program.mark()
        self.program.start()
        self.program.wait_up("wan0", since=since)
        self.assertEqual(self.tuns(), ["v4-wan0"])
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        self.program.stop()
        self.assertEqual(self.tuns(), [])

    def test_moved_to_another_namespace_it_goes_and_a_new_one_is_made(self) -> None:
        program = self.start_and_remember()
        since = program.mark()
        self.lab.router.ip(f"link set v4-wan0 netns {self.lab.server.name}")
        program.wait_event("clat.up", "wan0", since=since)
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        wait_until(lambda: self.tuns() == ["v4-wan0"], 10, "the old one goes with the clatd that held it")
        program.stop()
        self.assertEqual(self.tuns(), [])

    def test_moved_unseen_it_goes_with_a_stop(self) -> None:
        program = self.start_and_remember()
        with self.stopped():
            self.lab.router.ip(f"link set v4-wan0 netns {self.lab.server.name}")
            program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait_exit(), 0)
        self.assertEqual(self.tuns(), [])

    def moved_and_killed(self) -> Clatvisor:
        program = self.start_and_remember()
        with self.stopped():
            self.lab.router.ip(f"link set v4-wan0 netns {self.lab.server.name}")
            for child in children_of(self.pid):
                os.kill(child, signal.SIGKILL)
            self.killed()
        self.assertEqual(self.tuns(), ["v4-wan0"], "nobody holds it, but it is persistent")
        return program

    def test_moved_and_killed_it_is_named_by_cleanup(self) -> None:
        program = self.moved_and_killed()
        done = run_to_exit(self.lab, "--config", str(program.config_file), "--cleanup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("v4-wan0 is not here", done.stderr)

    def test_moved_and_killed_it_is_named_by_the_next(self) -> None:
        program = self.moved_and_killed()
        since = program.mark()
        program.start()
        missing = program.wait_event("tun.missing", since=since)
        self.assertEqual(missing["tun"], "v4-wan0")
        program.wait_up("wan0", since=since)
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()
        self.assertEqual(self.tuns(), ["v4-wan0"], "the one that was moved")
        self.lab.server.ip("link delete v4-wan0")
        since = program.mark()
        program.start()
        program.wait_up("wan0", since=since)
        self.assertEqual(program.find("tun.missing", since=since), [])

    def test_renamed_and_killed_it_is_found_by_the_next(self) -> None:
        self.start_and_remember()
        with self.stopped():
            self.lab.router.ip("link set v4-wan0 down", "link set v4-wan0 name other")
            self.killed()
        self.start_again()

    def test_renamed_and_killed_it_is_found_by_cleanup(self) -> None:
        before = self.snapshot()
        program = self.start_and_remember()
        with self.stopped():
            self.lab.router.ip("link set v4-wan0 down", "link set v4-wan0 name other")
            self.killed()
        done = run_to_exit(self.lab, "--config", str(program.config_file), "--cleanup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_unchanged(before, "after --cleanup")

    def test_marked_otherwise_and_killed_it_is_adopted(self) -> None:
        program = self.start_and_remember()
        index = self.lab.router.link_index("v4-wan0")
        with self.stopped():
            self.lab.router.ip("link set v4-wan0 alias mine")
            self.killed()
        since = program.mark()
        program.start()
        program.wait_event("supervisor.adopted", "wan0", since=since)
        program.wait_up("wan0", since=since)
        self.assertEqual(self.lab.router.link_index("v4-wan0"), index)
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()
        self.assertEqual(self.tuns(), [])


class AnotherClatvisor(LabTest):
    """Two in one network namespace, with folders of their own."""

    def own_config(self, name: str, uplink: str) -> str:
        """A file whose program has nothing in common with the first."""
        config = self.program.default_config()
        config["interfaces"] = {uplink: {**config["interfaces"][uplink], "default-route": "{metric: 77}"}}
        config |= {"state-dir": self.lab.scratch / name, "bpf-dir": self.lab.bpffs / name}
        file = self.lab.scratch / f"{name}.yaml"
        file.write_text(to_yaml(config))
        return str(file)

    def check(self, fast_path: str) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)

        def only_wan0(config: dict) -> None:
            every_interface(fast_path=fast_path)(config)
            del config["interfaces"]["wwan0"]

        program = self.start(up=False, change=only_wan0)
        program.wait_up("wan0")
        before = self.snapshot()
        done = run_to_exit(self.lab, "--config", self.own_config("third", "wwan0"), "--cleanup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(snapshot.differences(before, self.snapshot()), [], "--cleanup of another")

        second = self.lab.router.popen(str(BIN / "clatvisor"), "--config", self.own_config("second", "wwan0"), stderr=subprocess.DEVNULL)
        self.lab.on_close(second.kill)
        wait_until(lambda: self.lab.router.ip_json("route", "show", "default", "metric", "77"), 15, "the second is up")
        second.terminate()
        self.assertEqual(second.wait(10), 0)
        self.assert_unchanged(before, "the second came and went")
        self.assertEqual(program.find("part.lost"), [])
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        program.stop()

    def test_keeps_what_it_made_on_the_fast_path(self) -> None:
        self.check("auto")

    def test_keeps_what_it_made_on_the_routed_leg(self) -> None:
        self.check("off")
