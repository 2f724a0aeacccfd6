#!/usr/bin/env python3
"""Runs tests of this folder, and what tests/run.sh needs besides.

    run.py test_traffic.Ping.test_ping…   one test (or class, or module)
    run.py                                all of them, one after the other
    run.py --reap                         removes what killed runs left behind
    run.py --unprivileged BUILD REPORT    the unit tests of a build as nobody, reported as JUnit
    run.py --summary BROKEN REPORT…       rounds, slow tests, failures and the closing line of JUnit reports
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
os.environ["PATH"] += ":/usr/sbin:/sbin"

from harness import lab, names  # noqa: E402  (after the path)


def run_tests(wanted: list[str]) -> int:
    # Ends, and cleans up, with the ctest that started it.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    lab.exit_on_signals()
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(wanted) if wanted else loader.discover(str(HERE), "test_*.py")
    result = unittest.TextTestRunner(verbosity=2, failfast=False).run(suite)
    ran = result.testsRun - len(result.skipped)
    if ran == 0 or result.skipped:
        print("a test that cannot run here is a failure")
        return 1
    return 0 if result.wasSuccessful() else 1


NOBODY = 65534


def locked_folder(path: Path) -> Path:
    """The first folder on the way that nobody may not enter, or else `path` itself."""
    return next((each for each in [*reversed(path.parents), path] if not each.stat().st_mode & 0o001), path)


def copy_for_nobody(stage: Path, build: Path) -> list[Path]:
    """The programs and what they read, at the same paths below `stage`, for everybody to read. What to mount where."""
    def leave_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name == ".git" or (Path(folder, name) / "CMakeCache.txt").exists()]

    for source, ignore in ((ROOT, leave_out), (build / "bin", None)):
        shutil.copytree(source, stage / source.relative_to("/"), ignore=ignore, symlinks=True, dirs_exist_ok=True)
    for folder, _, files in os.walk(stage):
        os.chmod(folder, 0o755)
        for file in files:
            path = Path(folder, file)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    return sorted({locked_folder(ROOT), locked_folder(build)})


def run_unprivileged(build_folder: str, report: str) -> int:
    """Each unit test program as nobody, without a capability. Wherever the checkout lies, in /root, say: what they need is
    copied, and the copy mounted over the original, where nobody else sees it."""
    build = Path(build_folder).resolve()
    listing = subprocess.run(
        ["ctest", "--test-dir", build, "-L", "^unit$", "--show-only=json-v1"], check=True, capture_output=True, text=True
    )
    programs = sorted({test["command"][0] for test in json.loads(listing.stdout)["tests"] if "command" in test})
    programs = [program for program in programs if Path(program).is_relative_to(build)]
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
    suite = xml.Element("testsuite", name="unprivileged")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="clatvisor-nobody-") as folder:
        os.chmod(folder, 0o755)
        stage, home = Path(folder, "stage"), Path(folder, "home")
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
        over = copy_for_nobody(stage, build)
        mounts = [f"mount --bind {shlex.quote(str(stage / path.relative_to('/')))} {shlex.quote(str(path))}" for path in over]
        private = ["unshare", "--mount", "sh", "-ec", "; ".join([*mounts, f"cd {home}", 'exec "$@"']), "sh"]
        for program in programs:
            done = subprocess.run(
                [*private, *drop, program, "--gtest_brief=1"], cwd="/", env={**os.environ, "TMPDIR": str(home), "HOME": str(home)},
                capture_output=True, text=True, errors="replace", timeout=600,
            )  # fmt: skip
            case = xml.SubElement(suite, "testcase", name=f"{Path(program).name} as nobody", status="run")
            if done.returncode != 0:
                case.set("status", "fail")
                print(f"{Path(program).name} as nobody: exit {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    xml.ElementTree(suite).write(report)
    print(f"{len(programs)} unit test programs ran as nobody")
    return 0 if programs else 1


def summarize(broken: int, reports: list[str]) -> int:
    passed, failed, slow = 0, [], []
    if broken:
        failed = [f"build {i + 1} of {broken} that failed" for i in range(broken)]
    for report in sorted(reports):
        for case in xml.parse(report).getroot().iter("testcase"):
            name = f"{Path(report).stem}: {case.get('name')}"
            if case.get("status") == "run":
                passed += 1
            else:
                failed.append(f"{name} ({case.get('status')})")
            slow.append((float(case.get("time", 0)), name))
            output = case.findtext("system-out") or ""
            for line in re.findall(r"\brounds: \d.*", output):
                print(f"{Path(report).stem}: {line}")
    print("slowest: " + ", ".join(f"{name} {seconds:.0f} s" for seconds, name in sorted(slow, reverse=True)[:6]))
    for name in failed:
        print(f"FAILED {name}")
    if not reports and not failed:
        failed = ["no report"]
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


def main() -> int:
    match sys.argv[1:]:
        case ["--reap"]:
            names.reap_dead_runs()
            return 0
        case ["--unprivileged", build, report]:
            return run_unprivileged(build, report)
        case ["--summary", broken, *reports]:
            return summarize(int(broken), [report for report in reports if Path(report).exists()])
        case wanted:
            return run_tests(wanted)


if __name__ == "__main__":
    sys.exit(main())
