"""What runs on Debian's 6.1 kernel, and the summary of it: run.py BUILD_FOLDER."""
import pathlib
import shlex
import sys

import guest

SOURCE = pathlib.Path(__file__).resolve().parents[3]
# No TCX there. Software emulation is slow: the sizes and orders that need a fast machine are tested on one.
BPF = (
    ("bpf_verifier_test", "*"),
    ("bpf_vectors_test", "*"),
    ("bpf_rules_test", "*"),
    ("bpf_neighbour_test", "*"),
    ("bpf_lifecycle_test", "*Clsact*-*ForeignProgramsKeepWorking*:*ChangesFromOneKindToTheOther*"),
    ("bpf_traffic_test", "*Clsact*:RawIp*"),
    ("bpf_differential_test", "*"),
    ("bpf_vlan_test", "*"),
)
NETNS = (
    "test_neighbour",
    "test_paths.FastPath",
    "test_traffic.Works",
    "test_translation.Headers",
    "test_translation.Errors",
    "test_foreign_hand.ForeignHand",
    "test_foreign_hand.NoticeAtClsact",
    "test_fast_path_traffic.NobodyAlive",
    "test_vlan",
)


def script(build: pathlib.Path) -> str:
    lines = [f"cd {shlex.quote(str(SOURCE))}",
             "export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/bpf/old_kernel",
             "export CLATVISOR_TEST_SLOW=5 CLATVISOR_TEST_ROUNDS=0.05 CLATVISOR_PACKETS=5000",
             f"export CLATVISOR_BIN={build}/bin CLATVISOR_BUILD={build}", "uname -rv", "failed=0"]
    for name, chosen in BPF:
        lines.append(f"if {build}/bin/{name} --gtest_brief=1 '--gtest_filter={chosen}' > /tmp/out 2>&1; "
                     f"then echo 'ok   {name}' $(grep 'PASSED' /tmp/out); "
                     f"else echo 'FAIL {name}'; tail -c 4000 /tmp/out; failed=1; fi; grep 'verified, ' /tmp/out")
    for name in NETNS:
        lines.append(f"if python3 tests/netns/run.py {name} > /tmp/out 2>&1; then echo 'ok   {name}' $(grep '^Ran ' /tmp/out); "
                     f"else echo 'FAIL {name}'; tail -c 4000 /tmp/out; failed=1; fi")
    return "\n".join([*lines, "exit $failed", ""])


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    cache = build / "old_kernel"
    cache.mkdir(exist_ok=True)
    return guest.run(cache, script(build), 2700)


if __name__ == "__main__":
    sys.exit(main())
