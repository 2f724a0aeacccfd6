"""The reconciler is one in fact: what the objects of the build import says who can touch the system."""

from __future__ import annotations

import os
import re
import subprocess
import unittest
from collections import defaultdict
from pathlib import Path

from harness.clatvisor import ROOT

BUILD = Path(os.environ.get("CLATVISOR_BUILD", ROOT / "build"))

# Whoever imports one of these changes something outside the process.
EFFECTS = re.compile(
    r"^(socket|socketpair|bind|connect|sendmsg|sendto|sendmmsg|ioctl|setsockopt|mnl_socket_.*|uv_.*|bpf_.*|libbpf_.*|"
    r"fork|vfork|clone|execv.*|posix_spawn.*|system|popen|kill|prctl|mount|umount2?|rename|mkdir|unlink.*)$"
)
# Code that decides and computes, and nothing else.
PURE = ("core/net", "core/xlat", "supervisor/model", "supervisor/plan", "supervisor/render", "supervisor/ctl/request", "supervisor/launch", "config", "bpf/filter_row", "bpf/tc_filter")


def objects() -> dict[str, set[str]]:
    """Source path (without suffix) -> imported symbols, C++ demangled, of everything the programs link."""
    keys: dict[str, str] = {}
    for path in BUILD.rglob("*.o"):
        source = re.match(
            r"((?:core|bpf|config|supervisor)(?:/.*)?)/CMakeFiles/[^/]+\.dir/(.*)\.(?:cpp|c)\.o$", str(path.relative_to(BUILD))
        )
        if source:
            keys[str(path)] = f"{source[1]}/{source[2]}"
    listing = subprocess.run(["nm", "-uC", *sorted(keys)], capture_output=True, text=True, check=True).stdout
    found: dict[str, set[str]] = {key: set() for key in keys.values()}
    for line in listing.splitlines():
        if line.endswith(":") and line[:-1] in keys:
            key = keys[line[:-1]]
        elif line.strip():
            found[key].add(line.strip().partition(" ")[2].split("@")[0])
    return found


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.objects = objects()
        for layer in (*PURE, "bpf", "supervisor/system", "supervisor/sources", "supervisor/loop", "core/clatd"):
            assert any(f"{name}/".startswith(layer + "/") for name in cls.objects), f"no object of {layer} in {BUILD}"

    def importers(self, pattern: str) -> set[str]:
        return {name for name, symbols in self.objects.items() if any(re.match(pattern, symbol) for symbol in symbols)}

    def test_pure_layers_have_no_effects(self) -> None:
        offenders: dict[str, list[str]] = defaultdict(list)
        for name, symbols in self.objects.items():
            if name in PURE or name.startswith(tuple(f"{layer}/" for layer in PURE)):
                offenders[name] += [symbol for symbol in symbols if EFFECTS.match(symbol)]
        self.assertEqual({name: found for name, found in offenders.items() if found}, {})

    def test_effects_have_one_home(self) -> None:
        self.assertTrue(all(name.startswith("bpf/") for name in self.importers(r"(bpf_|libbpf_)")), self.importers(r"(bpf_|libbpf_)"))
        self.assertTrue(all(name.startswith("supervisor/loop/") for name in self.importers(r"uv_")), self.importers(r"uv_"))
        self.assertEqual(len(self.importers(r"uv_spawn$")), 1)
        # The BPF loader asks the kernel about its clsact filters by netlink as well.
        netlink = self.importers(r"mnl_socket")
        self.assertTrue(all(name.startswith(("supervisor/system/", "bpf/")) for name in netlink), netlink)
        self.assertTrue(
            all(name.startswith(("supervisor/system/", "core/clatd/", "bpf/", "supervisor/loop/")) for name in self.importers(r"ioctl$"))
        )
        self.assertEqual({name for name in self.importers(r"(fork|vfork|clone|posix_spawn.*|system|popen)$")}, set())

    def test_only_the_edge_calls_them(self) -> None:
        """The edge alone reaches tun, netlink writes, spawn and bpf alike."""
        doors = {
            "tun": r"clat::system::(open_tun|Network::(make\(.*TunSpec))",
            "netlink": r"clat::system::Network::(make|change|remove)",  # purge: --cleanup's as well
            "spawn": r"clat::loop::(Children::spawn|Child::spawn|Command::start)",
            "bpf": r"clat::bpf::FastPath::(attach|update|detach)",
        }
        homes = {"tun": "supervisor/system/", "netlink": "supervisor/system/", "spawn": "supervisor/loop/child", "bpf": "bpf/"}
        callers = {
            door: {name for name in self.importers(pattern) if not name.startswith(homes[door])}
            for door, pattern in doors.items()
        }
        # One class, in supervisor/edge.cpp and edge_*.cpp.
        self.assertEqual({name.partition("_")[0] for name in set.union(*callers.values())}, {"supervisor/edge"}, callers)
        for door, found in callers.items():
            self.assertTrue(found, f"nobody calls {door}")


if __name__ == "__main__":
    unittest.main()
