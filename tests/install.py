#!/usr/bin/env python3
"""`cmake --install` and `uninstall`, into folders of this test's own: install.py BUILD [CASE…]"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "netns"))

from harness.installation import Installation  # noqa: E402  (after the path)

BUILD = Path(sys.argv[1]).resolve()
VERSION = re.search(r"project\(clatvisor VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]


def run(*argv: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=60)


class InstallTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="clatvisor-install-")
        self.addCleanup(folder.cleanup)
        self.scratch = Path(folder.name)


class Installed(InstallTest):
    def setUp(self) -> None:
        super().setUp()
        self.root = self.scratch / "root"
        self.root.mkdir()
        self.here = Installation(BUILD, self.root)

    def install(self, *options: str) -> None:
        done = self.here.install(*options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def uninstall(self) -> str:
        done = self.here.uninstall()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_these_files_and_no_others(self) -> None:
        self.install()
        here = self.here
        programs = {here.clatvisor, here.clatd, here.clatctl}
        man, doc = here.path("MANDIR"), here.path("DOCDIR")
        texts = {
            here.config,
            here.prefix / "lib/systemd/system/clatvisor.service",
            *(here.prefix / "lib/systemd/system" / unit.name for unit in (ROOT / "config" / "metrics").glob("*.s*")),
            here.prefix / "lib/systemd/system/clatvisor-textfile.timer",
            here.prefix / "lib/sysusers.d/clatvisor.conf",
            here.prefix / "share/bash-completion/completions/clatctl",
            here.prefix / "share/zsh/site-functions/_clatctl",
            man / "man8/clatvisor.8",
            man / "man8/clatd.8",
            man / "man1/clatctl.1",
            man / "man5/clatvisor.yaml.5",
            doc / "README.md",
            doc / "LICENSE",
            doc / "config/clatvisor.yaml",
            doc / "config/metrics/clatvisor.cron",
            *(doc / "docs" / page.name for page in (ROOT / "docs").iterdir() if page.suffix in (".md", ".json", ".yml")),
        }
        self.assertEqual(here.files(), programs | texts)
        for files, mode in ((programs, 0o755), (texts, 0o644)):
            for file in files:
                self.assertEqual(oct(file.stat().st_mode & 0o7777), oct(mode), file)

    def test_the_programs_run_from_there(self) -> None:
        self.install("--strip")
        here = self.here
        for program, name in ((here.clatvisor, "clatvisor"), (here.clatd, "clatd"), (here.clatctl, "clatctl")):
            self.assertEqual(run(program, "--version").stdout, f"{name} {VERSION}\n")
        self.assertIn(f"default {here.folder('SYSCONFDIR')}/clatvisor/clatvisor.yaml\n", run(here.clatvisor, "--help").stdout)
        checked = run(here.clatvisor, "--config", here.config, "--check")
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        here.clatd.unlink()
        checked = run(here.clatvisor, "--config", here.config, "--check")
        self.assertEqual(checked.returncode, 78)
        self.assertIn("clatd not found", checked.stderr)

    def test_the_unit_and_the_pages_name_what_is_there(self) -> None:
        self.install()
        here = self.here
        unit = (here.prefix / "lib/systemd/system/clatvisor.service").read_text()
        start = re.search(r"^ExecStart=(\S+) --config (\S+)$", unit, re.MULTILINE)
        reload = re.search(r"^ExecReload=/bin/sh -c '(\S+) reload;", unit, re.MULTILINE)
        for named in (*start.groups(), *reload.groups(), *re.findall(r"^\.(?:It )?Pa (/\S+/clatd)$", here.path("MANDIR", "man8/clatvisor.8").read_text(), re.MULTILINE)):
            self.assertTrue((self.root / named.lstrip("/")).is_file(), named)

    def test_nothing_is_left_behind(self) -> None:
        self.install()
        self.install()
        self.uninstall()
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_what_others_have_there_stays(self) -> None:
        others = self.here.clatvisor.parent / "other"
        others.parent.mkdir(parents=True)
        others.write_text("")
        empty = self.here.path("MANDIR", "man8")
        empty.mkdir(parents=True)
        self.install()
        self.uninstall()
        self.assertEqual(self.here.files(), {others})
        self.assertTrue(empty.is_dir())

    def test_a_config_that_was_edited_stays(self) -> None:
        self.install()
        mine = "interfaces: {wan7: {}}\n"
        self.here.config.write_text(mine)
        self.install()
        self.assertEqual(self.here.config.read_text(), mine)
        self.assertIn(f"Kept, it was edited: {self.here.config}", self.uninstall())
        self.assertEqual(self.here.files(), {self.here.config})
        self.assertEqual(self.here.config.read_text(), mine)

    def test_a_prefix_that_it_was_not_configured_for(self) -> None:
        done = self.here.install("--prefix", "/elsewhere")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("-DCMAKE_INSTALL_PREFIX=/elsewhere", done.stderr)
        self.assertEqual(list(self.root.rglob("*")), [])


class Configured(InstallTest):
    """What is configured for other folders, and not built."""

    def configure(self, *options: str) -> subprocess.CompletedProcess:
        return run("cmake", "-S", ROOT, "-B", self.scratch / "build", "-DCLATVISOR_TESTS=OFF", *options)

    def test_other_folders(self) -> None:
        for inits in ("systemd;openrc", "systemd;procd"):
            done = self.configure(
                "-DCMAKE_INSTALL_PREFIX=/opt/clat", "-DCMAKE_INSTALL_SYSCONFDIR=/etc/opt", "-DCMAKE_INSTALL_LIBEXECDIR=lib",
                f"-DCLATVISOR_INIT={inits}",
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stderr)
        made = {path.name: path.read_text() for path in (self.scratch / "build/config/install").iterdir() if path.is_file() and path.suffix != ".cmake" and path.name != "Makefile"}
        self.assertEqual(
            sorted(made), ["50-clatvisor", "clatctl.1", "clatd.8", "clatvisor-metrics.socket",
                           "clatvisor-metrics@.service", "clatvisor-textfile.service", "clatvisor-textfile.timer", "clatvisor.8", "clatvisor.config", "clatvisor.cron", "clatvisor.init", "clatvisor.json",
                           "clatvisor.openrc", "clatvisor.service", "clatvisor.sh", "clatvisor.sysusers", "clatvisor.yaml.5",
                           "netifd-follow", "uci-to-yaml"],
        )  # fmt: skip
        for name in ("clatvisor.service", "clatvisor.init", "clatvisor.openrc"):
            self.assertIn("/opt/clat/sbin/clatvisor", made[name])
            self.assertIn("/etc/opt/clatvisor/clatvisor.yaml", made[name])
        self.assertIn("/opt/clat/lib/clatvisor/clatd", made["clatvisor.8"])
        self.assertIn("/opt/clat/bin/clatctl", made["clatvisor.service"])
        for name, text in made.items():
            self.assertNotRegex(text, r"/usr/(s?bin|libexec)/|/etc/clatvisor", name)
        self.install_and_uninstall()

        commands = " ".join(each["command"] for each in json.loads((self.scratch / "build/compile_commands.json").read_text()))
        for definition in (r'CLATVISOR_CLATD=\"../lib/clatvisor/clatd\"', r'CLATVISOR_CONFIG=\"/etc/opt/clatvisor/clatvisor.yaml\"'):
            self.assertIn(definition, commands.replace("\\\\", "\\"))

    def install_and_uninstall(self) -> None:
        root = self.scratch / "root"
        root.mkdir()
        here = Installation(self.scratch / "build", root)
        (self.scratch / "build/bin").mkdir(exist_ok=True)
        for program in ("clatvisor", "clatd", "clatctl"):  # of another build: where they lie is all that matters
            shutil.copy(BUILD / "bin" / program, self.scratch / "build/bin")
        done = here.install()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        files = {str(file.relative_to(root)) for file in here.files()}
        scripts = {
            "etc/opt/init.d/clatvisor", "opt/clat/lib/clatvisor/uci-to-yaml", "opt/clat/lib/clatvisor/netifd-follow",
            "lib/netifd/proto/clatvisor.sh",
        }  # fmt: skip
        texts = {"etc/opt/config/clatvisor", "etc/opt/uci-defaults/50-clatvisor", "etc/opt/capabilities/clatvisor.json"}
        self.assertLessEqual(scripts | texts | {"opt/clat/sbin/clatvisor", "opt/clat/bin/clatctl", "opt/clat/lib/clatvisor/clatd"}, files)
        for file in scripts | texts:
            self.assertEqual(bool((root / file).stat().st_mode & 0o111), file in scripts, file)
        done = here.uninstall()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(list(root.rglob("*")), [])

    def test_init_systems_that_do_not_go(self) -> None:
        for inits, why in (("upstart", "'upstart' is not"), ("openrc;procd", "both want init.d/clatvisor")):
            done = self.configure(f"-DCLATVISOR_INIT={inits}")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(why, " ".join(done.stderr.split()))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
