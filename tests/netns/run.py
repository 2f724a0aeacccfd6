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
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

HERE = Path(__file__).resolve().parent
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


def run_unprivileged(build: str, report: str) -> int:
    """Each unit test program as nobody, without a capability."""
    listing = subprocess.run(
        ["ctest", "--test-dir", build, "-L", "^unit$", "--show-only=json-v1"], check=True, capture_output=True, text=True
    )
    programs = sorted({test["command"][0] for test in json.loads(listing.stdout)["tests"] if "command" in test})
    programs = [program for program in programs if Path(program).is_relative_to(Path(build).resolve())]
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
    readable = subprocess.run([*drop, "test", "-r", HERE / "run.py"], check=False).returncode == 0
    if not readable:  # a checkout in /root, say: reading is the one thing that this user may do more
        keep = "-all,+dac_read_search"
        drop[-2:] = [f"--bounding-set={keep}", f"--inh-caps={keep}", f"--ambient-caps={keep}"]
    suite = xml.Element("testsuite", name="unprivileged")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="clatvisor-nobody-") as folder:
        os.chown(folder, 65534, 65534)
        for program in programs:
            done = subprocess.run(
                [*drop, program, "--gtest_brief=1"], cwd=folder, env={**os.environ, "TMPDIR": folder, "HOME": folder},
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
