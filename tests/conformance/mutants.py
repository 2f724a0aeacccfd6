#!/usr/bin/env python3
"""Breaks core/xlat one rule at a time, and demands that the conformance table notices.

    mutants.py --compiler CXX ARCHIVE...   the archives: the table and what it needs, built from the unbroken sources

Each mutation is one line of a scratch copy. It must turn the row red that is about its rule; the rest of the report
says which other rows noticed. A mutation whose text is no longer there, or there twice, is a failure.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNNER = ROOT / "tests/conformance/vectors_dump.cpp"


@dataclass(frozen=True)
class Mutation:
    rule: str
    row: str  # id of a row that must turn red
    file: str  # in core/xlat
    text: str
    broken: str


MUTATIONS = [
    # Headers.
    Mutation("RFC 7915 §4.1: hop limit one less", "A6", "translator.cpp", "(ip[8] - 1)", "(ip[8])"),
    Mutation("RFC 7915 §5.1: TTL one less", "G7", "translator.cpp", "(ip[7] - 1)", "(ip[7])"),
    Mutation("RFC 7915 §4.1: TTL 1 ends here", "A7", "translator.cpp", "if (ip[8] <= 1)", "if (ip[8] < 1)"),
    Mutation("RFC 7915 §5.1: hop limit 1 ends here", "G8", "translator.cpp", "if (ip[7] <= 1)", "if (ip[7] < 1)"),
    Mutation("RFC 7915 §4.1: all of ToS", "A2", "translator.cpp", ".traffic_class = ip[1],",
             ".traffic_class = static_cast<std::uint8_t>(ip[1] & 0x7f),"),
    Mutation("RFC 791: header checksum", "A10", "translator.cpp", "if (fold(sum_of_header) != 0xffff)",
             "if (fold(sum_of_header) == 0x1111)"),
    Mutation("RFC 7915 §4.1: next header 58", "A5", "protocol.hpp", "if (protocol == kIcmp4) return kIcmp6;",
             "if (protocol == kIcmp4) return kIcmp4;"),
    Mutation("RFC 7915 §5.1: DF above 1260 bytes", "G4", "protocol.hpp", "kMayFragment = 1260;", "kMayFragment = 1261;"),
    Mutation("RFC 7915 §4.1: DF and too big is refused", "A16", "translator.cpp",
             "if (large && fields.dont_fragment && wire_size > mtus_.ipv6)", "if (false)"),
    Mutation("RFC 7915 §5.1: too big for IPv4 is refused", "G10", "translator.cpp",
             "if (fields.dont_fragment && wire_size > mtus_.ipv4)", "if (false)"),
    Mutation("RFC 7915 §4.1: an unexpired source route is refused", "C3", "ip_header.cpp", "if (option[2] <= length)",
             "if (option[2] < length)"),
    Mutation("RFC 7915 §5.1: segments left are refused", "G14", "ip_header.cpp",
             "layout.protocol == kRouting && header[3] != 0", "layout.protocol == kRouting && header[3] > 1"),
    # Fragments.
    Mutation("RFC 7915 §4.1: offsets are copied", "B4", "ip_header.hpp", "(fragment.offset << 3 |", "(0 << 3 |"),
    Mutation("RFC 7915 §5.1.1: low 16 bits of the identification", "H1", "ip_header.hpp", "(fields.fragment.id & 0xffff)",
             "(fields.fragment.id >> 16)"),
    Mutation("RFC 7915 §5.1.1: extension headers in fragments are dropped", "H6", "ip_header.cpp", "if (hidden) return",
             "if (false) return"),
    Mutation("RFC 8200 §4.5: pieces are multiples of 8", "A14", "fragment.cpp", "/ 8 * 8, payload", "/ 4 * 4, payload"),
    Mutation("RFC 7915 §4.1: M stays set on the last piece", "B6", "fragment.cpp", "whole.more || at + size < payload",
             "at + size < payload"),
    Mutation("RFC 7915 §4.1: pieces are as large as lowest-ipv6-mtu", "A14", "translator.cpp", "mtus_.lowest_ipv6, sink);",
             "1280, sink);"),
    Mutation("RFC 7915 §4.1: later fragments of ICMP go as they are", "B10", "transport.cpp",
             "if (part == Part::later) return Verdict::translated;", ""),
    Mutation("of ICMP in fragments, echoes only wait", "K5", "translator.cpp",
             "|| !is_echo(direction, packet.data[layout.header])) return Verdict::icmp_fragment;",
             ") return Verdict::icmp_fragment;"),
    Mutation("what is too large to wait is refused", "B10", "echo_fragments.hpp", "kMostBytes = 2048 - kHeadroom;",
             "kMostBytes = 4096 - kHeadroom;"),
    # Checksums.
    Mutation("RFC 7915 §4.5: TCP checksum follows the addresses", "D1", "transport.cpp",
             "case kTcp: add_to_checksum(transport.data + 16, addresses.delta(), state); break;", "case kTcp: break;"),
    Mutation("RFC 7915 §4.5: UDP checksum 0 is computed", "D2", "transport.cpp",
             "if (direction == Direction::to_ipv6) compute_udp(udp, addresses);", ""),
    Mutation("RFC 8200 §8.1: a computed 0 is sent as ffff", "D3", "transport.cpp",
             "store<std::uint16_t>(udp.data + 6, checksum == 0 ? 0xffff : checksum);",
             "store<std::uint16_t>(udp.data + 6, checksum);"),
    Mutation("RFC 7915 §4.5: no half-summed UDP without checksum", "B8", "transport.cpp",
             "return none && direction == Direction::to_ipv6 ?", "return false ?"),
    # ICMP errors.
    Mutation("RFC 7915 §4.2: port unreachable is 1/4", "E6", "icmp.cpp", "{kUnreachable6, 4},          // port",
             "{kUnreachable6, 3},"),
    Mutation("RFC 7915 figure 3: TTL is at 7", "E14", "icmp.cpp", "7,        6,  ", "6,        6,  "),
    Mutation("RFC 7915 §5.2: the pointer has 32 bits", "I11", "icmp.cpp", "translated_pointer(kPointerToIpv4, from.rest)",
             "translated_pointer(kPointerToIpv4, from.rest & 0xff)"),
    Mutation("RFC 7915 §4.2: MTU + 20", "E9", "icmp.cpp", "std::min(reported + kHeaderDifference, most)",
             "std::min(reported, most)"),
    Mutation("RFC 1191 §7.1: the plateau below the length", "E10", "icmp.cpp", "return size < total;", "return size <= total;"),
    Mutation("RFC 7915 §5.2: MTU - 28 about fragments", "I6", "icmp.cpp", "(fragment ? clat::kFragmentHeader : 0), mtus.ipv4)",
             "0, mtus.ipv4)"),
    Mutation("RFC 7915 §5.2: no more than the uplink's MTU", "I5", "icmp.cpp",
             "std::clamp(reported, kIpv6MinimumMtu, mtus.ipv6)", "std::max(reported, kIpv6MinimumMtu)"),
    Mutation("RFC 4443 §2.4: at most 1280 bytes", "F9", "icmp.cpp", "to_ipv6 ? kIpv6MinimumMtu - kIpv6Header :",
             "to_ipv6 ? 1500 - kIpv6Header :"),
    Mutation("RFC 4884 §4: length in 64-bit words", "F13", "icmp.cpp", "return LengthAttribute{4, 8};",
             "return LengthAttribute{4, 4};"),
    Mutation("RFC 7915 §4.3: hops are not counted inside", "F1", "quote.cpp", ".hops = quote.data[8],",
             ".hops = static_cast<std::uint8_t>(quote.data[8] - 1),"),
    Mutation("RFC 7915 §5.3: one packet inside, no more", "J6", "quote.cpp", "present > 0 && is_echo(direction, transport.data[0])",
             "present > 0"),
    Mutation("checklist J8: errors about others' packets", "J8", "quote.cpp",
             "const auto own = sides.own.find(own6);", "const std::optional<std::uint32_t> own = 0xc0000004;"),
    Mutation("a native router is shown as 192.0.0.8", "I15", "translator.cpp", "std::uint32_t peer = kDummyIpv4.number();",
             "std::uint32_t peer = 0xff000001;"),
    # The translator's own errors.
    Mutation("RFC 1122 §3.2.2: no error about an error", "A8", "answer.cpp",
             "return packet.size > packet.header && is_echo(direction, ip[packet.header]);", "return true;"),
    Mutation("RFC 1812 §4.3.2.3: at most 576 bytes", "K4", "answer.cpp", "kMostIpv4 = 576;", "kMostIpv4 = 1280;"),
    Mutation("RFC 7915 §5.1: the pointer is at Segments Left", "G14", "ip_header.cpp",
             "layout.segments_left = layout.header + 3;", "layout.segments_left = layout.header;"),
    # Addresses.
    Mutation("RFC 6052 §2.2: the u-octet is left out", "L1", "mapping.hpp", "(spread & 0xffffffff) << 24}",
             "(spread & 0xffffffff) << 32}"),
    Mutation("RFC 6052 §3.1: 172.16.0.0/12 not through 64:ff9b::/96", "L5", "mapping.hpp", "v4 >> 20 == 0xac1", "v4 >> 16 == 0xac10"),
    Mutation("RFC 1812 §5.3.7: link-local is nobody's", "L9", "mapping.hpp", "|| v4 >> 16 == 0xa9fe ", ""),
    Mutation("RFC 6877: nothing from us to us", "L11", "translator.cpp", "if (sides_.own.find(peer)) return Verdict::hairpin;\n  if",
             "if"),
]


class Failure(Exception):
    pass


class Workshop:
    """Trees with a core/xlat of their own, and what is built from them."""

    def __init__(self, scratch: Path, compiler: str, archives: list[str]) -> None:
        self.scratch = scratch
        self.command = [compiler, "-std=c++23", "-O0", "-fno-lto", "-w"]
        self.archives = archives
        self.objects: dict[str, Path] = {}  # by unit, of the unbroken tree
        self.needs: dict[str, set[str]] = {}  # files of core/xlat that a unit includes

    def tree(self, name: str) -> Path:
        tree = self.scratch / name
        (tree / "core").mkdir(parents=True)
        for below in ("base", "net"):
            (tree / "core" / below).symlink_to(ROOT / "core" / below)
        (tree / "tests").symlink_to(ROOT / "tests")
        shutil.copytree(ROOT / "core/xlat", tree / "core/xlat")
        return tree

    def compile(self, tree: Path, unit: str) -> Path:
        source = RUNNER if unit == RUNNER.name else tree / "core/xlat" / unit
        target = tree / f"{unit}.o"
        run([*self.command, f"-I{tree}", f"-I{tree}/tests/unit/core", "-MMD", "-c", source, "-o", target])
        return target

    def build_unbroken(self, pool: concurrent.futures.Executor) -> None:
        tree = self.tree("unbroken")
        units = [RUNNER.name, *sorted(file.name for file in (tree / "core/xlat").glob("*.cpp"))]
        self.objects = dict(zip(units, pool.map(lambda unit: self.compile(tree, unit), units)))
        for unit, built in self.objects.items():
            words = built.with_suffix(".d").read_text().replace("\\\n", " ").split()
            self.needs[unit] = {Path(word).name for word in words if "/core/xlat/" in word}
        if red := self.red_rows(tree, list(self.objects.values())):
            raise Failure(f"rows are red with nothing broken: {', '.join(red[:10])}")

    def red_rows(self, tree: Path, objects: list[Path]) -> list[str]:
        program = tree / "vectors"
        run([*self.command, *objects, *self.archives, "-o", program])
        return run([program, "--red"]).splitlines()

    def red_rows_of(self, number: int, mutation: Mutation) -> list[str]:
        tree = self.tree(f"mutant-{number}")
        file = tree / "core/xlat" / mutation.file
        text = file.read_text() if file.exists() else ""
        if text.count(mutation.text) != 1:
            raise Failure(f"{mutation.text!r} stands {text.count(mutation.text)} times in core/xlat/{mutation.file}")
        file.write_text(text.replace(mutation.text, mutation.broken))
        objects = [
            self.compile(tree, unit) if mutation.file in self.needs[unit] else built for unit, built in self.objects.items()
        ]
        red = self.red_rows(tree, objects)
        shutil.rmtree(tree)
        return red


def run(command: list[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise Failure(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[:2000]}")
    return done.stdout


def summary(rows: list[str]) -> str:
    ids = Counter(row.split("_")[0] for row in rows)
    return ", ".join(f"{row} ×{count}" if count > 1 else row for row, count in ids.most_common(8))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("archives", nargs="+")
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="clatvisor-mutants-") as folder, concurrent.futures.ThreadPoolExecutor(
        os.cpu_count()
    ) as pool:
        workshop = Workshop(Path(folder), arguments.compiler, arguments.archives)
        workshop.build_unbroken(pool)
        results = [pool.submit(workshop.red_rows_of, number, mutation) for number, mutation in enumerate(MUTATIONS)]
        for mutation, result in zip(MUTATIONS, results):
            try:
                red = result.result()
                noticed = any(row.startswith(f"{mutation.row}_") for row in red)
                verdict = f"{len(red)} rows: {summary(red)}" if noticed else f"NOT NOTICED by {mutation.row}: {summary(red) or 'no row'}"
            except Failure as failure:
                noticed, verdict = False, f"FAILED: {failure}"
            failed += not noticed
            print(f"{mutation.rule} ({mutation.file}) -> {verdict}", flush=True)
    print(f"{len(MUTATIONS) - failed} of {len(MUTATIONS)} broken rules noticed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"mutants.py: {failure}")
