"""What runs on Debian's 6.1 kernel, and the summary of it: run.py BUILD_FOLDER."""
import pathlib
import shlex
import sys

import guest

SOURCE = pathlib.Path(__file__).resolve().parents[3]
# No TCX there. In software emulation each loading of the programs takes seconds: of what attaches by clsact, what the
# kernel has a part in; the rest runs on the machine itself.
CLSACT = ("AttachesEachProgramOnce", "DetachLeavesNothing", "An*LeavesNoPacketUntranslated", "VerifyN*", "AllOrNothing",
          "OutlivesItsProcessAndIsAdopted", "InterfaceDeletedWhileAttached", "AnIngressQdisc*", "NeedsFewCapabilities")
BPF = (
    ("bpf_verifier_test", "*"),
    ("bpf_vectors_test", "*"),
    ("bpf_rules_test", "*"),
    ("bpf_neighbour_test", "*"),
    ("bpf_lifecycle_test", ":".join(f"*{name}/Clsact" for name in CLSACT)),
    ("bpf_traffic_test", "*Clsact*:RawIp*"),
    ("bpf_differential_test", "*"),
    ("bpf_vlan_test", "*"),
)
# Of what user space does, nothing depends on the kernel's age.
NETNS = (
    "test_neighbour.PeerCache",
    "test_paths.FastPath",
    "test_traffic.Works",
    "test_fast_path_traffic.NobodyAlive",
    "test_fast_path_traffic.LargeSegments",
    "test_fast_path_traffic.EveryKind",
    "test_foreign_hand.ForeignHand",
    "test_foreign_hand.NoticeAtClsact",
    "test_vlan",
    "test_sqm",
    "test_flowtable",
    "test_gro.Routed",
    "test_shortcut_paths.EveryKind",
)


def step(name: str, command: str) -> str:
    """Says that it went well and when, or what it printed."""
    return (f'if {command} > $out 2>&1; then echo "ok   {name} at $SECONDS s"; '
            f"else echo 'FAIL {name}'; tail -c 4000 $out; failed=1; fi; grep -E 'verified, |PASSED|^Ran ' $out")


def steps(commands) -> str:
    return "\n".join(["(", "out=$(mktemp) failed=0", *(step(*each) for each in commands), "exit $failed", ")"])


def script(build: pathlib.Path) -> str:
    setting = {"PYTHONDONTWRITEBYTECODE": 1, "PYTHONPATH": "tests/bpf/old_kernel", "CLATVISOR_TEST_SLOW": 20,
               "CLATVISOR_TEST_ROUNDS": 0.02, "CLATVISOR_PACKETS": 5000, "CLATVISOR_BIN": build / "bin",
               "CLATVISOR_BUILD": build}
    exports = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in setting.items())
    # Two rows at once: the guest has two CPUs.
    bpf = steps((name, f"{build}/bin/{name} --gtest_brief=1 '--gtest_filter={chosen}'") for name, chosen in BPF)
    netns = steps((name, f"python3 tests/netns/run.py {name}") for name in NETNS)
    return "\n".join([f"cd {shlex.quote(str(SOURCE))}", f"export {exports}", "uname -rv",
                      f"{netns} & {bpf}", "failed=$?", "wait $! || failed=1", "exit $failed", ""])


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    cache = build / "old_kernel"
    cache.mkdir(exist_ok=True)
    return guest.run(cache, script(build), 2700)


if __name__ == "__main__":
    sys.exit(main())
