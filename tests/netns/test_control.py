"""clatctl and the control socket: what it shows, what it changes, who may, and clients that mean no good."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from harness.case import LabTest
from harness.clatvisor import BIN, ROOT, SLOW
from harness.lab import WAN0, WWAN0, wait_until


class ControlTest(LabTest):
    program_file = BIN / "clatctl"

    def setUp(self) -> None:
        super().setUp()
        # A path that others may reach as well.
        self.folder = Path(tempfile.mkdtemp(prefix="clatvisor-control."))
        self.addCleanup(shutil.rmtree, self.folder)
        self.socket = self.folder / "control.sock"

    def run_program(self, **settings: object) -> None:
        def change(config: dict) -> None:
            config["control-socket"] = self.socket
            config.update(settings)

        self.start(change=change)

    def ctl(self, *words: str, code: int = 0, **options) -> str:
        """What it prints; of two channels the one that fits the exit code, and nothing on the other."""
        done = subprocess.run(
            [str(self.program_file), "-s", str(self.socket), *words], capture_output=True, text=True, timeout=60 * SLOW, **options
        )
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        out, other = (done.stdout, done.stderr) if code in (0, 1) else (done.stderr, done.stdout)
        self.assertEqual(other, "")
        return out

    def status(self) -> dict:
        return json.loads(self.ctl("status", "--json"))

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(client.close)
        client.settimeout(30 * SLOW)
        client.connect(str(self.socket))
        return client

class Shows(ControlTest):
    def test_a_table_of_all_and_one_in_full(self) -> None:
        self.run_program()
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        rows = [line.split() for line in self.ctl().splitlines()]
        self.assertEqual(rows[0], "IFACE STATE SINCE IPV4 PREFIX PATH CLATD RX TX".split())
        self.assertEqual([row[0] for row in rows[1:3]], ["wan0", "wwan0"])
        v4 = self.program.find("clat.up", "wan0")[0]["v4"]
        self.assertEqual([rows[1][1], *rows[1][3:7]], ["up", v4, WAN0.prefix, "tcx", "running"])
        self.assertGreater(int(rows[1][7]), 0)
        self.assertGreater(int(rows[1][8]), 0)
        self.assertEqual(len(rows), 3)

        full = self.ctl("status", "wan0")
        self.assertIn(f"IPv4 address: {v4} on v4-wan0\n", full)
        self.assertRegex(full, r"clatd: running, pid \d+, 0 restarts\n")
        self.assertEqual(self.ctl("show", "wan0", "ipv4"), v4 + "\n")
        self.assertEqual(self.ctl("show", "wan0", "clatd_pid"), f"{self.program.clatd_pid('wan0')}\n")
        self.assertRegex(self.ctl("explain", "wan0"), "wan0 is up for .*, by tcx: nothing is amiss.\n")
        self.ctl("status", "--healthy")
        self.assertEqual(self.ctl("show", "eth9", "ipv4", code=64), "there is no interface 'eth9' in the config\n")
        self.assertIn("there is no field 'ip'", self.ctl("show", "wan0", "ip", code=64))
        self.assertIn("clatctl: there is no command 'sttus'", self.ctl("sttus", code=64))
        self.program.stop()

    def test_what_is_missing(self) -> None:
        self.run_program()
        self.lab.carrier(WAN0, False)
        self.program.wait_event("clat.down", "wan0")
        self.assertIn("wan0: no carrier\n", self.ctl())
        self.assertIn("(no-carrier)", self.ctl("explain"))
        self.ctl("status", "--healthy", code=1)
        self.ctl("status", "--healthy", "wan0", code=1)
        self.ctl("status", "--healthy", "wwan0")
        status = self.status()
        wan0, wwan0 = status["interfaces"]
        self.assertEqual((wan0["state"], wan0["reason_code"], wan0["up_seconds"]), ("waiting", "no-carrier", None))
        self.assertEqual([finding["code"] for finding in wan0["findings"]], ["no-carrier"])
        self.assertEqual(wwan0["findings"], [])
        self.program.stop()

    def test_counters_are_of_now(self) -> None:
        self.run_program()
        before = self.status()["interfaces"][0]
        for _ in range(25):
            self.lab.client(WAN0).udp_echo(self.lab.direct_v4, tries=1)
        after = self.status()["interfaces"][0]
        for field in ("fast_tx_packets", "fast_rx_packets"):
            self.assertEqual(after[field] - before[field], 25, field)
        # A clatd that does not answer delays nobody for long.
        os.kill(self.program.clatd_pid("wan0"), 19)
        began = time.monotonic()
        self.assertEqual(self.ctl("show", "wan0", "fast_tx_packets"), f"{after['fast_tx_packets']}\n")
        self.assertLess(time.monotonic() - began, 1 * SLOW)
        os.kill(self.program.clatd_pid("wan0"), 18)
        self.program.stop()

    def test_metrics(self) -> None:
        self.run_program()
        text = self.ctl("metrics")
        self.assertIn('clatvisor_interface_up{interface="wan0"} 1\n', text)
        for line in text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) clatvisor_\w+ .+|clatvisor_\w+(\{(\w+=\"[^\"]*\",?)+\})? [0-9.]+)$")
        answer = self.ctl("metrics", "--http", input="GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = answer.partition("\n\n")
        self.assertTrue(head.startswith("HTTP/1.1 200 OK\n"), head)
        self.assertIn("clatvisor_interface_up", body)
        self.assertIn(f"Content-Length: {len(body.encode())}\n", head + "\n")
        self.assertIn("404", self.ctl("metrics", "--http", input="GET / HTTP/1.0\r\n\r\n"))
        self.assertIn("405", self.ctl("metrics", "--http", input="POST /metrics HTTP/1.0\r\n\r\n"))
        self.program.stop()

    def test_events(self) -> None:
        self.run_program()
        lines = self.ctl("events").splitlines()
        logged = [event.line for event in self.program.events]
        self.assertEqual([line for line in lines if "event=clat.up" in line], [line for line in logged if "event=clat.up" in line])
        follower = self.connect()
        follower.sendall(b"events --follow\n")
        reader = follower.makefile()
        self.assertEqual(reader.readline(), "0\n")
        self.lab.carrier(WWAN0, False)
        for line in reader:
            if "event=clat.down iface=wwan0" in line:
                break
        follower.close()
        self.lab.carrier(WWAN0, True)
        self.program.wait_event("clat.up", "wwan0", count=2)
        self.program.stop()

class Completion(ControlTest):
    def complete(self, *words: str) -> list[str]:
        """What bash offers for the last word."""
        script = (
            f"source {ROOT}/config/completion/clatctl.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _clatctl;"
            ' printf "%s\\n" "${COMPREPLY[@]}"'
        )
        env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", script, "bash", "clatctl", "-s", str(self.socket), *words], check=True, capture_output=True, text=True, env=env
        )
        self.assertEqual(done.stderr, "")
        return sorted(done.stdout.split())

    def test_of_bash(self) -> None:
        self.run_program()
        self.assertEqual(self.complete("re"), ["reload", "restart"])
        self.assertEqual(self.complete("restart", ""), ["wan0", "wwan0"])
        self.assertEqual(self.complete("restart", "wan0", ""), [])
        self.assertEqual(self.complete("show", "w"), ["wan0", "wwan0"])
        self.assertEqual(self.complete("show", "wan0", "ipv"), ["ipv4", "ipv4_mtu", "ipv6", "ipv6_mtu"])
        self.assertEqual(self.complete("status", "--h"), ["--healthy"])
        commands = re.findall(r"^  ([a-z]+)", subprocess.run([BIN / "clatctl", "--help"], check=True, capture_output=True, text=True).stdout, re.M)
        self.assertEqual([word for word in self.complete("") if not word.startswith("-")], sorted(commands))
        self.program.stop()


class Changes(ControlTest):
    def test_reload(self) -> None:
        self.run_program()
        self.assertRegex(self.ctl("check"), r"clatvisor.yaml: fine, 2 interfaces\n")
        good = self.program.config_file.read_text()
        self.program.write_config(good.replace("nat64-prefix", "nat64-prefx", 1))
        for command in ("check", "reload"):
            said = self.ctl(command, code=78)
            self.assertRegex(said, r"clatvisor.yaml:3:\d+: ")
            self.assertIn("nat64-prefx", said)
            self.assertIn("^", said)
        self.assertIn("The config file was refused at the last reload, line 3", self.ctl("explain"))
        self.assertEqual(len(self.program.find("config.rejected")), 1)  # check changes nothing
        self.program.write_config(good)
        self.assertRegex(self.ctl("reload"), r"clatvisor.yaml: reloaded, 2 interfaces\n")
        self.assertEqual(self.status()["reloads"], 1)
        self.assertEqual(self.status()["findings"], [])
        self.assertEqual(self.program.find("control.requested")[0]["request"], "reload")
        self.program.stop()

    def test_restart_loses_nothing_and_counts_as_no_failure(self) -> None:
        self.run_program()
        client = self.lab.client(WAN0)
        for number in range(1, 8):
            before = self.program.clatd_pid("wan0")
            said = self.ctl("restart", "wan0")
            after = self.program.clatd_pid("wan0")
            self.assertNotEqual(before, after)
            self.assertEqual(said, f"wan0: clatd {after} is ready\n")
            self.assertEqual(self.ctl("show", "wan0", "clatd_restarts"), f"{number}\n")
            client.udp_echo(self.lab.direct_v4, tries=1)
        self.assertEqual(self.program.find("clat.backoff"), [])
        self.assertEqual(self.program.find("clat.flapping"), [])
        self.assertEqual(self.program.find("clat.down"), [])
        self.ctl("restart", "eth9", code=64)
        self.program.stop()

    def test_handover(self) -> None:
        self.run_program()
        clatd = self.program.clatd_pid("wan0")
        self.ctl("handover")
        self.assertEqual(self.program.wait_exit(), 0)
        self.assertIn("no clatvisor listens there", self.ctl(code=69))
        since = self.program.mark()
        self.program.start()
        self.program.wait_event("supervisor.adopted", "wan0", since=since)
        self.program.wait_up("wan0", since=since)
        self.assertNotEqual(self.program.clatd_pid("wan0"), clatd)
        self.ctl("status")
        self.program.stop()
        self.assertFalse(self.socket.exists())

    def test_after_kill_9(self) -> None:
        self.run_program()
        os.kill(self.program.pid, 9)
        self.program.wait_exit()
        self.ctl(code=69)
        since = self.program.mark()
        self.program.start()
        self.program.wait_up(since=since)
        self.ctl()
        self.program.stop()

class Permissions(ControlTest):
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}

    def setUp(self) -> None:
        super().setUp()
        # The checkout may be where nobody may look.
        folder = Path(tempfile.mkdtemp(prefix="clatvisor-control."))
        self.addCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        self.program_file = shutil.copy(BIN / "clatctl", folder)

    def test_for_root_alone(self) -> None:
        self.run_program()
        self.folder.chmod(0o755)
        self.assertIn("Permission denied", self.ctl(code=77, **self.nobody))
        self.program.stop()

    def test_for_a_group_to_look(self) -> None:
        self.run_program(**{"control-socket": {"path": self.socket, "group": "nogroup"}})
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o750)
        self.assertIn("wan0", self.ctl(**self.nobody))
        for words in (("reload",), ("restart", "wan0"), ("handover",)):
            self.assertEqual(self.ctl(*words, code=77, **self.nobody), "only root may do that\n")
        self.assertEqual(self.program.find("control.requested"), [])
        self.program.stop()

    def test_off(self) -> None:
        self.run_program(**{"control-socket": "off"})
        self.assertIn("no clatvisor listens there", self.ctl(code=69))
        self.program.stop()

    def test_not_to_be_had(self) -> None:
        self.socket.write_text("something else")
        self.run_program()
        self.assertIn("not a socket", self.program.wait_event("control.failed")["reason"])
        self.program.stop()
        self.assertEqual(self.socket.read_text(), "something else")

class Hostile(ControlTest):
    def test_a_hundred_clients(self) -> None:
        """Half requests, garbage, readers that do not read, floods of connections. Nobody else is late."""
        self.run_program()
        pid = self.program.pid
        before = len(os.listdir(f"/proc/{pid}/fd"))
        kept: list[socket.socket] = []
        late = []
        end = time.monotonic() + 5
        number = 0
        while time.monotonic() < end:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.setblocking(False)
            with contextlib.suppress(OSError):
                client.connect(str(self.socket))
                client.send((b"stat", os.urandom(300), b"status --json\n" * 40, b"events --follow\n", b"")[number % 5])
            kept.append(client)
            if len(kept) > 100:
                kept.pop(0).close()
            number += 1
            if number % 5000 == 0:
                late.append(self.answer_to_a_signal())
        late.sort()
        print(f"{number} hostile connections; a signal was answered after {late[len(late) // 2] * 1000:.1f} ms, {late[-1] * 1000:.1f} at worst")
        self.assertLess(late[len(late) // 2], 0.02 * SLOW)
        for client in kept:
            client.close()
        self.assertIn("wan0", wait_until(lambda: self.try_status(), 10 * SLOW, "clatctl is served again"))
        wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before, 10 * SLOW, "no descriptor is kept")
        self.assertEqual(self.program.find("clat.exited"), [])
        self.program.stop()

    def answer_to_a_signal(self) -> float:
        """How long the loop takes for something else."""
        since, began = self.program.mark(), time.monotonic()
        self.program.send_signal(signal.SIGUSR1)
        return self.program.wait_event("state.dump", since=since).at - began

    def try_status(self) -> str:
        return subprocess.run([str(BIN / "clatctl"), "-s", str(self.socket)], capture_output=True, text=True).stdout

    def test_a_request_has_five_seconds(self) -> None:
        self.run_program()
        client = self.connect()
        client.sendall(b"status")
        began = time.monotonic()
        self.assertEqual(client.recv(100), b"")
        self.assertGreater(time.monotonic() - began, 4)
        self.program.stop()
