"""What the fast path asks of the kernel, and in which order."""

from __future__ import annotations

import re
from collections import Counter

from harness.case import WITHOUT_TCX, LabTest
from harness.clatvisor import NO_LEAK_CHECK, SLOW
from harness.lab import wait_until
from harness.strace import traced

LINKS = 3  # of an uplink: tun ingress, tun egress, uplink ingress


class Order(LabTest):
    nat64 = False

    def check(self, expected: str, *wrap: str) -> None:
        """Of each uplink, filter before fast path. E: an entry is written (counters, tun; that the address is optimistic,
        uplink), A: a program is attached (tun ingress; tun egress, uplink)."""
        trace = self.lab.scratch / "strace.out"
        strace = ("strace", "-o", str(trace), "-e", "trace=bpf,sendto,sendmsg")
        program = self.start(wrap=(*strace, *wrap), env=NO_LEAK_CHECK)
        for uplink in self.uplinks:
            kind = program.wait_event("fastpath.attached", uplink.name)["kind"]
        program.stop()
        attaching = "BPF_LINK_CREATE" if kind == "tcx" else "RTM_NEWTFILTER"
        steps = []
        for line in trace.read_text().splitlines():
            if "BPF_PROG_LOAD" in line:
                steps.clear()  # what libbpf tried before
            elif re.search(r"BPF_MAP_UPDATE_ELEM.* = 0$", line):
                steps.append("E")
            elif re.search(attaching + r".* = [1-9]\d*$", line):
                steps.append("A")
        self.assertEqual("".join(steps), expected * len(self.uplinks))

    def test_map_entries_come_before_what_reads_them(self) -> None:
        self.check("EEA" + "EEAA")

    def test_map_entries_come_before_what_reads_them_at_clsact(self) -> None:
        """That a qdisc had to be made is noted in the entry before its first filter."""
        self.check("EE" + "EA" + "E" + "EA" + "EA", *WITHOUT_TCX)


class Audit(LabTest):
    nat64 = False

    def test_asks_once_for_each_link_and_each_entry(self) -> None:
        program = self.start(change=lambda config: config.update({"audit-interval": "100ms"}), env=NO_LEAK_CHECK)
        kind = program.find("fastpath.attached", "wan0")[0]["kind"]
        trace = self.lab.scratch / "strace.out"

        def calls() -> Counter[str]:
            return Counter(re.findall(r" bpf\((BPF_\w+)", trace.read_text()))

        audits = 10
        with traced(program.pid, trace, "bpf"):
            wait_until(lambda: calls()["BPF_OBJ_GET"] > 2 * audits, 10 * SLOW, "audits")
        program.stop()
        found = calls()
        # Of the two maps, the pins; each time one audit may be cut short by the trace's begin and end.
        audits = found.pop("BPF_OBJ_GET") // 2
        uplinks = len(self.uplinks)
        expected = {
            "BPF_OBJ_GET_INFO_BY_FD": 4,
            "BPF_MAP_LOOKUP_ELEM": 3 * uplinks,  # entries of tun and uplink, counters
            "BPF_PROG_QUERY": LINKS * uplinks if kind == "tcx" else 0,
        }
        for call, number in expected.items():
            self.assertAlmostEqual(found.pop(call, 0), number * audits, delta=number, msg=call)
        # Once nobody has claimed the address it is not optimistic any more.
        self.assertIn(found.pop("BPF_MAP_DELETE_ELEM", 0), range(uplinks + 1))
        self.assertEqual(found, Counter())
