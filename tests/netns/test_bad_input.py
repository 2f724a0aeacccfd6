"""Everything wrong that an operator can hand in: one clear answer, the documented exit code, and nothing left behind."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.case import LabTest
from harness.clatvisor import BIN, Clatvisor, run_to_exit
from harness.lab import WAN0, WWAN0

GOOD = "interfaces:\n  wan0:\n    nat64-prefix: 64:ff9b::/96\n"

# name: (text, line, words that the message must hold)
BAD_CONFIGS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "empty": ("", 0, ("empty",)),
    "only a comment": ("# nothing\n", 0, ("comments",)),
    "no interfaces": ("log:\n  level: info\n", 0, ("interfaces",)),
    "not YAML": ("interfaces: [wan0\n  : }\n", 0, ()),
    "tab as indentation": ("interfaces:\n\twan0: {}\n", 2, ()),
    "control characters": ("interfaces:\n  wan0: \x01\n", 0, ()),
    "not UTF-8": ("interfaces:\n  w\udcffn0: {}\n", 0, ()),
    "a megabyte of nesting": ("[" * 1_000_000, 1, ()),
    "a megabyte of nested maps": ("{a: " * 250_000, 1, ()),
    "unknown key": (GOOD + "    nat64-prefx: 64:ff9b::/96\n", 4, ("nat64-prefx", "nat64-prefix")),
    "unknown key at the top": (GOOD + "lgo:\n  level: info\n", 4, ("lgo", "log")),
    "duplicate key": (GOOD + "    nat64-prefix: 64:ff9b::/96\n", 4, ("nat64-prefix",)),
    "duplicate interface": (GOOD + "  wan0:\n    nat64-prefix: 64:ff9b::/96\n", 4, ("wan0",)),
    "wrong type": (GOOD + "    mtu: [1, 2]\n", 4, ("mtu",)),
    "number out of range": (GOOD + "    mtu: 99999999999999999999\n", 4, ("mtu",)),
    "duration without a unit": (GOOD + "audit-interval: 5\n", 4, ("audit-interval",)),
    "prefix of a bad length": ("interfaces:\n  wan0:\n    nat64-prefix: 64:ff9b::/95\n", 3, ("95",)),
    "prefix with host bits": ("interfaces:\n  wan0:\n    nat64-prefix: 64:ff9b::1/96\n", 3, ("64:ff9b::",)),
    "IPv6 where IPv4 belongs": (GOOD + "    ipv4-address: 2001:db8::1\n", 4, ("2001:db8::1",)),
    "IPv4 where IPv6 belongs": (GOOD + "    ipv6-address: 192.0.0.4\n", 4, ("192.0.0.4",)),
    "interface name too long, even as an altname": (
        f"interfaces:\n  {'abcdefgh' * 16}:\n    nat64-prefix: 64:ff9b::/96\n", 2, ("abcdefghabcdefgh", "128 characters")
    ),
    "one fixed address twice": (
        GOOD + "    ipv4-address: 192.0.0.5\n  wwan0:\n    nat64-prefix: 2001:db8:64::/96\n    ipv4-address: 192.0.0.5\n",
        7, ("192.0.0.5", "wan0"),
    ),
    "clatd missing": (GOOD + "clatd:\n  path: /nonexistent/clatd\n", 5, ("/nonexistent/clatd",)),
    "clatd not executable": (GOOD + "clatd:\n  path: /etc/passwd\n", 5, ("/etc/passwd",)),
    "clatd is a folder": (GOOD + "clatd:\n  path: /etc\n", 5, ("/etc",)),
    "unknown user": (GOOD + "clatd:\n  user: no-such-user\n", 5, ("no-such-user",)),
    "unknown dialect": (GOOD + "clatd:\n  dialect: klingon\n", 5, ("klingon",)),
}  # fmt: skip


class Config(LabTest):
    nat64 = False
    uplinks = (WAN0,)

    def setUp(self) -> None:
        super().setUp()
        self.program = Clatvisor(self.lab)
        self.before = self.snapshot()

    def assert_nothing_left(self, what: str) -> None:
        self.assert_unchanged(self.before, what)
        self.assertFalse(self.program.state_dir.exists(), what)

    def check_rejected(self, text: str, line: int, words: tuple[str, ...], *extra: str) -> str:
        file = self.program.config_file
        file.write_bytes(text.encode(errors="surrogateescape"))
        done = run_to_exit(self.lab, "--config", str(file), *extra, timeout=15)
        self.assertEqual(done.returncode, 78, done.stderr[-2000:])
        self.assertEqual(done.stdout, "")
        errors = [each for each in done.stderr.splitlines() if ": error: " in each]
        self.assertEqual(len(errors), 1, done.stderr[-2000:])
        place = re.match(rf"{re.escape(str(file))}(?::(\d+):(\d+))?: error: (.+)$", errors[0])
        self.assertTrue(place, errors[0])
        if line:
            self.assertEqual(int(place[1]), line, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertLess(max(map(len, done.stderr.splitlines())), 120 + len(str(file)) + 200, "clipped")
        return done.stderr

    def test_table(self) -> None:
        for name, (text, line, words) in BAD_CONFIGS.items():
            with self.subTest(name):
                started = self.check_rejected(text, line, words)
                checked = self.check_rejected(text, line, words, "--check")
                self.assertEqual(started, checked, "--check is the same code path")
        self.assert_nothing_left("after the table")

    def test_shows_the_line_with_a_caret_and_suggests(self) -> None:
        lines = self.check_rejected(*BAD_CONFIGS["unknown key"]).splitlines()
        self.assertEqual(lines[1].strip("| 0123456789"), "nat64-prefx: 64:ff9b::/96".strip("| 0123456789"))
        self.assertEqual(lines[1].index("nat64-prefx"), lines[2].index("^"))
        self.assertIn("nat64-prefix", lines[0])

    def test_all_errors_in_one_go_at_most_twenty(self) -> None:
        self.program.config_file.write_text(GOOD + "".join(f"    wrong-key-{i}: 1\n" for i in range(30)))
        done = run_to_exit(self.lab, "--config", str(self.program.config_file), "--check")
        self.assertEqual(done.returncode, 78)
        self.assertEqual(done.stderr.count(": error: "), 20)
        self.assertIn("10", done.stderr.splitlines()[-1])

    def check_one_line(self, code: int, *argv: str, words: tuple[str, ...] = (), wrap: tuple[str, ...] = ()) -> None:
        done = run_to_exit(self.lab, *argv, wrap=wrap)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assert_nothing_left(" ".join(argv))

    def test_no_config_file(self) -> None:
        self.check_one_line(78, "--config", "/nonexistent/clatvisor.yaml", words=("/nonexistent/clatvisor.yaml", "No such file", "--config"))

    def test_config_is_a_folder(self) -> None:
        self.check_one_line(78, "--config", "/etc", words=("/etc",))

    def test_unreadable_config(self) -> None:
        file = self.lab.scratch / "unreadable.yaml"
        file.write_text(GOOD)
        file.chmod(0)
        os.chown(file, 65534, 65534)
        without = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        self.check_one_line(78, "--config", str(file), words=(str(file), "Permission denied"), wrap=without)

    def test_usage(self) -> None:
        file = str(self.program.config_file)
        for argv in (["--no-such-option"], ["--config"], ["--config", file, "extra"], ["-x"]):
            with self.subTest(argv=argv):
                done = run_to_exit(self.lab, *argv)
                self.assertEqual(done.returncode, 64, done.stderr)
                self.assertTrue(done.stderr)
        self.assert_nothing_left("after usage errors")

    def test_version(self) -> None:
        done = run_to_exit(self.lab, "--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^clatvisor \d+\.\d+\.\d+")

    def test_check_of_a_good_file(self) -> None:
        done = run_to_exit(self.lab, "--config", str(self.program.config_file), "--check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_nothing_left("after --check")

    def test_check_needs_no_privileges(self) -> None:
        nobody = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
        done = run_to_exit(self.lab, "--config", str(self.program.config_file), "--check", wrap=nobody)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_shipped_example_is_valid(self) -> None:
        example = Path(__file__).resolve().parents[2] / "config" / "clatvisor.yaml"
        done = run_to_exit(self.lab, "--config", str(example), "--check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_no_privileges(self) -> None:
        file = str(self.program.config_file)
        self.check_one_line(71, "--config", file, wrap=("setpriv", "--bounding-set=-all", "--inh-caps=-all"))

    def test_no_network_privilege(self) -> None:
        file = str(self.program.config_file)
        self.check_one_line(71, "--config", file, words=("CAP_NET_ADMIN",), wrap=("setpriv", "--bounding-set=-net_admin"))

    def test_no_tun_device(self) -> None:
        hide = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh")
        self.check_one_line(71, "--config", str(self.program.config_file), words=("/dev/net/tun",), wrap=hide)

    def test_state_directory_cannot_be_made(self) -> None:
        config = self.program.default_config() | {"state-dir": "/proc/clatvisor"}
        self.program.write_config(config)
        self.check_one_line(71, "--config", str(self.program.config_file), words=("/proc/clatvisor",))


class Hostile(LabTest):
    """Wrong at run time rather than in the file."""

    nat64 = False

    def test_clatd_that_cannot_run_moves_only_its_interface(self) -> None:
        """A clatd that exits at once: backoff, flapping, and a clean stop."""
        program = Clatvisor(self.lab)
        clatd = self.lab.scratch / "clatd"
        # Fails for wan0 alone.
        clatd.write_text(f'#!/bin/sh\ncase "$2" in wan0) echo "not today" >&2; exit 3 ;; esac\nexec {BIN}/clatd "$@"\n')
        clatd.chmod(0o755)
        program.write_config(program.default_config() | {"clatd": {"path": clatd, "restart": {"initial": "10ms", "max": "50ms"}}})
        self.program = program.start()
        exited = program.wait_event("clat.exited", "wan0", count=4)
        self.assertEqual(exited["status"], "3")
        output = program.wait_event("child.output", "wan0")
        self.assertIn("not today", output.line)
        program.wait_up(WWAN0.name)
        self.lab.client(WWAN0).udp_echo(self.lab.direct_v4)
        self.assertEqual(program.find("clat.up", "wan0"), [])
        program.stop()
