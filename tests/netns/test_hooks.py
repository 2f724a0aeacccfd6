"""on-up and on-down: programs of the operator's are told the state of each CLAT, and nobody waits for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from harness.case import LabTest
from harness.clatvisor import BIN, NO_LEAK_CHECK, SLOW, cmdline, run_to_exit
from harness.lab import WAN0, wait_until

AS_THE_UNIT = [sys.executable, str(Path(__file__).with_name("as_the_unit.py"))]
NAMES = ("EVENT", "IFACE", "TUN", "V4", "V6", "PREFIX", "MTU", "REASON_CODE")


class Hooks(LabTest):
    uplinks = (WAN0,)
    nat64 = False

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.lab.scratch / "hooks"
        self.folder.mkdir(mode=0o755)
        self.told = self.lab.scratch / "told"
        self.hook = self.script("hook", f"{{ env; echo args=$*; echo; }} >> {self.told}\n")

    def script(self, name: str, body: str) -> Path:
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + body)
        path.chmod(0o755)
        return path

    def with_hooks(self, up: object = None, down: object = None):
        def change(config: dict) -> None:
            for key, hook in (("on-up", up), ("on-down", down)):
                if hook is not None:
                    config["interfaces"]["wan0"][key] = hook if isinstance(hook, str) else f"[{hook}, {key}]"

        return change

    def calls(self) -> list[dict[str, str]]:
        text = self.told.read_text() if self.told.exists() else ""
        return [dict(line.split("=", 1) for line in call.splitlines()) for call in text.split("\n\n")[:-1]]

    def events(self) -> list[str]:
        return [call["CLATVISOR_EVENT"] for call in self.calls()]

    def wait_told(self, *events: str) -> None:
        wait_until(lambda: self.events() == list(events), 5 * SLOW, f"told: {events}; {self.program.tail()}")

    def test_each_state_and_all_that_belongs_to_it(self) -> None:
        program = self.start(change=self.with_hooks(self.hook, self.hook))
        self.wait_told("up")
        up = program.find("clat.up")[0]
        call = self.calls()[0]
        self.assertEqual(call["args"], "on-up")
        told = {name: call.pop(f"CLATVISOR_{name}") for name in NAMES}
        values = [up["tun"], up["v4"], up["v6"], up["prefix"], up["mtu"]]
        self.assertEqual(list(told.values()), ["up", "wan0", *values, ""])
        self.assertEqual(call.pop("PATH"), "/usr/sbin:/usr/bin:/sbin:/bin")
        # What is left is of the shell itself.
        self.assertLessEqual(call.keys(), {"args", "PWD", "SHLVL", "_", "OLDPWD"})
        self.lab.router.run("ip", "link", "set", "wan0", "mtu", "1400")
        self.wait_told("up", "up")
        self.assertEqual(self.calls()[1]["CLATVISOR_MTU"], "1372")
        self.lab.remove_address(WAN0)
        self.wait_told("up", "up", "down")
        down = self.calls()[2]
        self.assertEqual(down["args"], "on-down")
        self.assertEqual(down["CLATVISOR_REASON_CODE"], program.find("clat.down")[0]["reason_code"])
        self.assertEqual([down[f"CLATVISOR_{name}"] for name in ("TUN", "V4", "V6", "PREFIX")], values[:4])
        program.wait_event("hook.done", count=3)
        program.stop()
        self.assertEqual(self.events(), ["up", "up", "down"], "a stop had nothing new to tell")

    def test_a_stop_tells_it_and_a_handover_does_not(self) -> None:
        before = self.snapshot()
        program = self.start(change=self.with_hooks(self.hook, self.hook))
        self.wait_told("up")
        program.stop(signal.SIGUSR2)
        self.assertEqual(self.events(), ["up"])
        program.start()
        self.wait_told("up", "up")
        os.kill(program.pid, signal.SIGKILL)
        program.wait_exit()
        program.start()
        self.wait_told("up", "up", "up")
        self.assertEqual(len(program.find("supervisor.adopted")), 2)
        program.stop()
        self.assertEqual(self.events(), ["up", "up", "up", "down"])
        self.assertEqual(self.calls()[3]["CLATVISOR_REASON_CODE"], "stopping")
        self.assert_unchanged(before, "after the stop")

    def test_nobody_waits_for_a_slow_one(self) -> None:
        go = self.lab.scratch / "go"
        slow = self.script("slow", f"echo $CLATVISOR_EVENT >> {self.told}.begun\nwhile [ ! -e {go} ]; do sleep 0.02; done\nexec {self.hook}\n")
        begun = lambda: Path(f"{self.told}.begun").read_text().split()  # noqa: E731
        program = self.start(change=self.with_hooks(slow, slow))
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        since = program.mark()
        self.lab.remove_address(WAN0)
        program.wait_event("clat.down", since=since)
        self.lab.add_address(WAN0)
        program.wait_event("clat.up", since=since)
        self.lab.remove_address(WAN0)
        program.wait_event("clat.down", since=since, count=2)
        self.assertEqual(begun(), ["up"], "one at a time")
        go.touch()
        self.wait_told("up", "down")
        self.assertEqual(begun(), ["up", "down"], "the newest state alone")
        program.stop()

    def test_a_stop_ends_one_that_hangs(self) -> None:
        hang = self.script("hang", "trap '' TERM\nsleep 1000 &\necho $! > $1\nwait\nwhile :; do sleep 1; done\n")
        pid_file = self.lab.scratch / "pid"
        program = self.start(change=self.with_hooks(f"[{hang}, {pid_file}]", self.hook))
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), 5 * SLOW, "it hangs")
        took = program.stop(timeout=14)
        self.assertGreater(took, 3.5)
        self.assertLess(took, 9 * SLOW)
        self.assertEqual(self.events(), ["down"])
        failed = program.find("hook.failed")
        self.assertEqual(len(failed), 1, program.tail())
        self.assertIn("did not end within", failed[0]["reason"])
        self.assertNotIn("sleep", cmdline(int(pid_file.read_text())), "what it had started is left behind")

    def test_one_that_fails(self) -> None:
        fails = self.script("fails", "echo first; printf 'it is\\033[31m broken' >&2\nexit 3\n")
        program = self.start(change=self.with_hooks(fails, self.hook))
        failed = program.wait_event("hook.failed", "wan0")
        self.assertEqual([failed[key] for key in ("state", "path", "reason")], ["up", str(fails), "status 3"])
        self.assertEqual(failed["line"], "it is\x1b[31m broken")
        self.assertIn(r"it is\x1b[31m broken", failed.line, "escaped")
        self.assertEqual(len(program.find("hook.output")), 2)
        program.send_signal(signal.SIGHUP)
        program.wait_event("config.loaded", count=2)
        self.assertEqual(len(program.find("hook.failed")), 1)
        self.assertIn("hook-failed", self.ctl("explain", "wan0"))
        self.assertEqual(self.ctl("show", "wan0", "hook_state").strip(), "failed")
        self.assertEqual(self.ctl("show", "wan0", "hook_reason").strip(), "status 3")
        program.stop()

    def test_one_that_writes_a_lot(self) -> None:
        lot = self.script("lot", "yes 0123456789012345678901234567890123456789 | head -c 10000000\necho; echo done\n")
        program = self.start(change=self.with_hooks(lot))
        program.wait_event("hook.done", "wan0", timeout=20)
        shown = program.find("hook.output")
        self.assertLess(len(shown), 200)
        self.assertEqual(shown[-1]["line"], "done")
        self.assertGreater(sum(int(each.fields.get("suppressed", 0)) for each in shown), 200_000)
        program.stop()

    def test_one_that_others_could_change(self) -> None:
        self.hook.chmod(0o775)
        config = self.with_hooks(self.hook, self.hook)
        program = self.start(change=config)
        refused = program.wait_event("hook.refused", "wan0")
        self.assertIn(f"{self.hook} is writable by others", refused["reason"])
        done = run_to_exit(self.lab, "--config", str(program.config_file), "--check")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn(f"on-up: {self.hook} is writable by others", done.stderr)
        self.hook.chmod(0o755)
        done = run_to_exit(self.lab, "--config", str(program.config_file), "--check")
        self.assertEqual(done.returncode, 0, done.stderr)
        os.chown(self.folder, 65534, 65534)
        self.lab.remove_address(WAN0)
        refused = program.wait_event("hook.refused", "wan0", state="down")
        self.assertIn(f"{self.folder} belongs to uid 65534", refused["reason"])
        self.assertEqual(self.calls(), [])
        os.chown(self.folder, 0, 0)
        self.lab.add_address(WAN0)
        self.wait_told("up")
        program.stop()

    def test_a_reload_changes_it_and_leaves_the_clat_alone(self) -> None:
        program = self.start()
        clatd = program.wait_clatd("wan0")
        since = program.mark()
        config = program.default_config()
        self.with_hooks(self.hook, self.hook)(config)
        program.reload(config)
        self.wait_told("up")
        program.reload(program.default_config())
        self.assertEqual(program.wait_clatd("wan0"), clatd)
        self.assertEqual(program.find("clat.down", since=since), [])
        self.lab.remove_address(WAN0)
        program.wait_event("clat.down")
        self.lab.add_address(WAN0)
        program.wait_event("clat.up", count=2)
        self.assertEqual(self.events(), ["up"])
        program.reload(config)
        self.wait_told("up", "up")
        program.reload({**program.default_config(), "interfaces": {"other0": {}}})
        self.wait_told("up", "up", "down")
        self.assertEqual(self.calls()[2]["CLATVISOR_REASON_CODE"], "removed")
        program.stop()

    def test_inside_the_unit(self) -> None:
        program = self.start(
            change=self.with_hooks(self.hook, self.hook), wrap=[*AS_THE_UNIT, str(self.lab.scratch)], env=NO_LEAK_CHECK
        )
        self.wait_told("up")
        program.stop()
        self.assertEqual(self.events(), ["up", "down"])
        self.assertEqual(program.find("hook.failed"), [], program.tail())

    def ctl(self, *words: str) -> str:
        socket = self.lab.scratch / "control.sock"
        command = self.lab.router.command(str(BIN / "clatctl"), "-s", str(socket), *words)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
