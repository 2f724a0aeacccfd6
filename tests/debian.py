#!/usr/bin/env python3
"""config/debian as far as dpkg alone can tell, without debhelper: debian.py [CASE…]

The package is put together here as debhelper would, and dpkg takes it through its life in a root of its own. systemctl and
clatvisor are stood in for: they write down how they were called.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEBIAN = ROOT / "config" / "debian"
SCRIPTS = ("postinst", "prerm", "postrm")
CONFIG = "etc/clatvisor/clatvisor.yaml"


def run(*argv: object, **options) -> str:
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=60, **options)
    if done.returncode != 0:
        raise AssertionError(f"{argv[0]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class DebianTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="clatvisor-debian-")
        self.addCleanup(folder.cleanup)
        self.scratch = Path(folder.name)


class Fields(DebianTest):
    def test_control_and_changelog(self) -> None:
        (self.scratch / "debian").symlink_to(DEBIAN)
        version = re.search(r"project\(clatvisor VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        self.assertEqual(run("dpkg-parsechangelog", "-l", DEBIAN / "changelog", "--show-field", "Version").strip(), version)
        control = run(
            "dpkg-gencontrol", "-O", "-pclatvisor", "-fdebian-files", "-T/dev/null", "-Vmisc:Depends=x", "-Vshlibs:Depends=y",
            cwd=self.scratch,
        )  # fmt: skip
        self.assertIn(f"Version: {version}\n", control)
        self.assertIn("Depends: x, y\n", control)

    def test_it_needs_what_the_build_needs(self) -> None:
        """control lists what tests/deps.sh --build installs."""
        wanted = re.search(r"^build='(.*?)'", (ROOT / "tests" / "deps.sh").read_text(), re.MULTILINE | re.DOTALL)[1].split()
        listed = re.search(r"^Build-Depends:(.*?)^\w", (DEBIAN / "control").read_text(), re.MULTILINE | re.DOTALL)[1]
        names = {each.split()[0] for each in listed.split(",")}
        self.assertLessEqual(set(wanted) - {"make"}, names)  # make is essential to build anything

    @unittest.skipUnless(shutil.which("shellcheck"), "no shellcheck here")
    def test_shellcheck(self) -> None:
        run("shellcheck", *(DEBIAN / name for name in SCRIPTS), ROOT / "tests" / "package.sh")


@unittest.skipUnless(os.geteuid() == 0, "dpkg installs as root")
class Life(DebianTest):
    def setUp(self) -> None:
        super().setUp()
        self.root = self.scratch / "root"
        for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "run/systemd/system"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").write_text("")
        self.calls = self.scratch / "calls"
        self.calls.write_text("")
        stubs = self.scratch / "stubs"
        stubs.mkdir()
        for name in ("systemctl", "clatvisor"):
            (stubs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n')
            (stubs / name).chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}:/usr/sbin:/sbin", "DEBIAN_FRONTEND": "noninteractive"}
        self.before = self.content()

    def content(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if "var/lib/dpkg" not in str(path)}

    def package(self, version: str, config: str) -> Path:
        tree = self.scratch / version
        control = tree / "DEBIAN"
        control.mkdir(parents=True)
        for file, text in ((CONFIG, config), ("usr/sbin/clatvisor", ""), ("lib/systemd/system/clatvisor.service", "")):
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_text(text)
        for name in SCRIPTS:
            (control / name).write_text((DEBIAN / name).read_text().replace("#DEBHELPER#", f'echo "debhelper in {name}: $1" >> {self.calls}'))
            (control / name).chmod(0o755)
        (control / "conffiles").write_text(f"/{CONFIG}\n")
        (control / "control").write_text(
            f"Package: clatvisor\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: test\n"
        )
        made = self.scratch / f"{version}.deb"
        run("dpkg-deb", "--build", "--root-owner-group", tree, made)
        return made

    def dpkg(self, *words: object) -> list[str]:
        """What was called meanwhile."""
        self.calls.write_text("")
        run(
            "dpkg", f"--root={self.root}", f"--log={self.scratch}/log", "--force-script-chrootless", "--force-confdef",
            "--force-confold", *words, env=self.environment,
        )  # fmt: skip
        return self.calls.read_text().splitlines()

    def test_from_installation_to_purge(self) -> None:
        first, second = self.package("1.0", "first\n"), self.package("2.0", "second\n")
        self.assertEqual(self.dpkg("--install", first), ["debhelper in postinst: configure"])
        config = self.root / CONFIG
        self.assertEqual(config.read_text(), "first\n")
        config.write_text("mine\n")
        (self.root / "run/clatvisor").mkdir()

        # It is handed over, by the new unit, and before anything of debhelper's could start or stop it.
        self.assertEqual(
            self.dpkg("--install", second),
            [
                "debhelper in prerm: upgrade",
                "debhelper in postrm: upgrade",
                "systemctl daemon-reload",
                "systemctl --quiet is-active clatvisor.service",
                "systemctl kill --kill-whom=main --signal=USR2 clatvisor.service",
                "debhelper in postinst: configure",
            ],
        )
        self.assertEqual(config.read_text(), "mine\n")
        self.assertTrue((self.root / "run/clatvisor").is_dir(), "the successor needs it")

        self.assertEqual(
            self.dpkg("--remove", "clatvisor"), ["debhelper in prerm: remove", "clatvisor --cleanup", "debhelper in postrm: remove"]
        )
        self.assertFalse((self.root / "run/clatvisor").exists())
        self.assertEqual(config.read_text(), "mine\n")

        self.assertEqual(self.dpkg("--purge", "clatvisor"), ["debhelper in postrm: purge"])
        self.assertEqual(self.content(), self.before)

    def test_without_systemd(self) -> None:
        (self.root / "run/systemd/system").rmdir()
        self.dpkg("--install", self.package("1.0", "first\n"))
        calls = self.dpkg("--install", self.package("2.0", "first\n"))
        self.assertEqual([call for call in calls if not call.startswith("debhelper")], [])
        self.assertEqual((self.root / CONFIG).read_text(), "first\n")


if __name__ == "__main__":
    unittest.main()
