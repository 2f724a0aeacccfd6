#!/usr/bin/env python3
"""The conformance table played to TAYGA, side by side with our own results.

    tayga.py VECTORS_DUMP

TAYGA acts as the CLAT: one static map of the CLAT's two addresses, and the NAT64 prefix. Rows about offloads, ranges
and rates are not for it. Its own errors come from other addresses and with other TTLs: of those only what the ICMP
message says is compared, and how it quotes. It sets DF as RFC 6145 had it, which touches nearly every IPv4 packet: the
last column leaves that aside. Exit status: 0 when our own translator meets every row.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "netns"))
os.environ["PATH"] += ":/usr/sbin:/sbin"

from harness import lab, names  # noqa: E402  (after the path)
from harness.namespace import Namespace  # noqa: E402

TUN = "tayga"
ETH_P = {4: 0x0800, 6: 0x86DD}
ETH_P_ALL = 3
OUTGOING = 4  # PACKET_OUTGOING: what we sent ourselves
PATIENCE = 5  # seconds
GROUPS = {
    "A": "IPv4 to IPv6 headers",
    "B": "IPv4 fragments",
    "C": "IPv4 options",
    "D": "transport checksums",
    "E": "ICMPv4 errors",
    "F": "packets inside ICMPv4 errors",
    "G": "IPv6 to IPv4 headers",
    "H": "IPv6 fragments",
    "I": "ICMPv6 errors",
    "J": "packets inside ICMPv6 errors",
    "K": "errors of its own",
    "L": "addresses",
    "M": "malformed",
    "P": "bugs of other translators",
    "R": "ranges",
}


@dataclass(frozen=True)
class Setting:
    v4: str
    v6: str
    prefix: str
    mtu: int


@dataclass
class Row:
    id: str
    description: str
    to: int
    setting: Setting
    packet: bytes
    verdict: str
    expected: list[bytes]
    any_identification: bool
    ours: bool
    unplayable: str
    theirs: bool = False
    but_for_df: bool = False

    @classmethod
    def parse(cls, line: str) -> Row:
        row = json.loads(line)
        ipv6, ipv4, lowest = row["mtus"]
        setting = Setting(row["v4"], row["v6"], row["prefix"], ipv6)
        packet = bytes.fromhex(row["input"])
        unplayable = ""
        if row["offloads"]:
            unplayable = "offloads: its tun has none"
        elif row["unusual"]:
            unplayable = "ranges, rates, private addresses through the Well-Known Prefix: its settings have none"
        elif setting.prefix == "64:ff9b::/96":
            unplayable = "64:ff9b::/96: it refuses documentation addresses there"
        elif setting.prefix == "64:ff9b:1::/48":
            unplayable = "64:ff9b:1::/48: newer than it (RFC 8215)"
        elif ipv4 != 65535:
            unplayable = "MTU of the IPv4 side: it has one for both"
        elif lowest != 1280 and is_cut_above_1280(packet, row["expected"]):
            unplayable = "lowest-ipv6-mtu: it has 1280"
        elif len(packet) > setting.mtu:
            unplayable = "larger than its tun's MTU"
        return cls(
            row["id"], row["description"], row["to"], setting, packet, row["verdict"],
            [bytes.fromhex(packet) for packet in row["expected"]], row["any_identification"], row["met"], unplayable,
        )

    def judge(self, packets: list[bytes]) -> None:
        self.theirs = self._is_met_by(packets, lambda packet: packet)
        self.but_for_df = self._is_met_by(packets, without_df)

    def _is_met_by(self, packets: list[bytes], seen: Callable[[bytes], bytes]) -> bool:
        if len(packets) != len(self.expected):
            return False
        same = self._same if self.verdict == "translated" else same_error
        return all(same(seen(actual), seen(expected)) for actual, expected in zip(packets, self.expected))

    def _same(self, actual: bytes, expected: bytes) -> bool:
        if self.any_identification and len(actual) == len(expected) >= 20 and actual[0] == expected[0] == 0x45:
            actual = actual[:4] + expected[4:6] + actual[6:10] + expected[10:12] + actual[12:]
        return actual == expected


def is_cut_above_1280(packet: bytes, expected: list[str]) -> bool:
    """Whether an IPv4 packet without DF becomes IPv6 packets above 1280 bytes."""
    may_be_cut = len(packet) >= 20 and packet[0] >> 4 == 4 and not packet[6] & 0x40
    return may_be_cut and any(len(digits) > 2 * 1280 for digits in expected)


def without_df(packet: bytes) -> bytes:
    """Of an IPv4 packet, and of the IPv4 packet inside an ICMP error; header checksums go, too."""
    bare = bytearray(packet)
    for at in (0, 28):
        if len(bare) >= at + 20 and bare[at] == 0x45 and (at == 0 or (bare[0] == 0x45 and bare[9] == 1)):
            bare[at + 6] &= 0xBF
            bare[at + 10 : at + 12] = bytes(2)
    return bytes(bare)


def same_error(actual: bytes, expected: bytes) -> bool:
    header = 20 if expected[0] >> 4 == 4 else 40
    if actual[:1] != expected[:1] or len(actual) < header + 8 + header + 8:
        return False
    icmp, wanted = actual[header:], expected[header:]
    quote = min(len(icmp), len(wanted))
    return (icmp[:2], icmp[4:quote]) == (wanted[:2], wanted[4:quote])


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def embed(prefix: ipaddress.IPv6Network, v4: ipaddress.IPv4Address) -> bytes:
    """RFC 6052 §2.2."""
    address = bytearray(prefix.network_address.packed)
    positions = [at for at in range(prefix.prefixlen // 8, 16) if at != 8][:4]
    for at, octet in zip(positions, v4.packed):
        address[at] = octet
    return bytes(address)


class Tayga:
    """One TAYGA in a namespace, and the packet socket at the other end of its tun."""

    def __init__(self, namespace: Namespace, setting: Setting, scratch: Path, cleanup: contextlib.ExitStack) -> None:
        self.setting = setting
        self.sent = 0
        conf = scratch / "tayga.conf"
        conf.write_text(
            f"tun-device {TUN}\nipv4-addr 192.0.0.8\nprefix {setting.prefix}\nmap {setting.v4} {setting.v6}\n"
        )
        lab.start_tayga(namespace, conf, scratch / "tayga.log", TUN, cleanup.callback, setting.mtu)
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        cleanup.callback(self.socket.close)
        with namespace.entered():
            self.socket.bind((TUN, ETH_P_ALL))
        self.socket.settimeout(PATIENCE)

    def play(self, packet: bytes, to: int) -> list[bytes]:
        """What comes out before a packet sent after it does."""
        self.sent += 1
        token = struct.pack("!Q", self.sent)
        family = 10 - to
        self.socket.sendto(packet, (TUN, ETH_P[family]))
        self.socket.sendto(self._marker(token, to), (TUN, ETH_P[family]))
        packets = []
        while True:
            received, (_, _, kind, *_) = self.socket.recvfrom(65536)
            if kind == OUTGOING:
                continue
            if received.endswith(token):
                return packets
            packets.append(received)

    def _marker(self, token: bytes, to: int) -> bytes:
        """A packet of protocol 253, which carries no checksum."""
        v4, v6 = ipaddress.IPv4Address(self.setting.v4), ipaddress.IPv6Address(self.setting.v6)
        peer = ipaddress.IPv4Address("192.0.2.99")
        if to == 4:
            source = embed(ipaddress.IPv6Network(self.setting.prefix), peer)
            return struct.pack("!IHBB", 6 << 28, len(token), 253, 64) + source + v6.packed + token
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(token), 1, 0, 64, 253, 0) + v4.packed + peer.packed
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + token


@contextlib.contextmanager
def tayga(setting: Setting, number: int, scratch: Path) -> Iterator[Tayga]:
    with contextlib.ExitStack() as cleanup:
        namespace = Namespace(f"{names.prefix()}tayga{number}")
        cleanup.callback(namespace.close)
        # Nobody else speaks on the tun.
        namespace.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        yield Tayga(namespace, setting, scratch, cleanup)


def play_all(rows: list[Row], scratch: Path) -> None:
    by_setting = defaultdict(list)
    for row in rows:
        if not row.unplayable:
            by_setting[row.setting].append(row)
    for number, (setting, own) in enumerate(by_setting.items()):
        with tayga(setting, number, scratch) as player:
            for row in own:
                row.judge(player.play(row.packet, row.to))


def report(rows: list[Row]) -> None:
    played = [row for row in rows if not row.unplayable]
    print(f"{'':32}{'rows':>6}{'ours':>6}   {'played':>6}{'ours':>6}{'TAYGA':>7}{'but DF':>8}")
    for letter, title in [*GROUPS.items(), ("", "all")]:
        of_group = [row for row in rows if row.id.startswith(letter)]
        both = [row for row in played if row.id.startswith(letter)]
        label = f"{letter}  {title}" if letter else title
        print(
            f"{label:32}{len(of_group):6}{sum(row.ours for row in of_group):6}   "
            f"{len(both):6}{sum(row.ours for row in both):6}{sum(row.theirs for row in both):7}"
            f"{sum(row.but_for_df for row in both):8}"
        )
    print("\nnot played to TAYGA:")
    for reason, count in Counter(row.unplayable for row in rows if row.unplayable).most_common():
        print(f"{count:6}  {reason}")
    print("\nrows where TAYGA differs in more than DF:")
    different = defaultdict(list)
    for row in played:
        if not row.but_for_df:
            different[row.id].append(row.description)
    for row_id, descriptions in sorted(different.items(), key=lambda item: (item[0][0], len(item[0]), item[0])):
        print(f"  {row_id}: {', '.join(descriptions[:3])}{f' and {len(descriptions) - 3} more' if descriptions[3:] else ''}")
    for row in rows:
        if not row.ours:
            print(f"NOT MET BY US: {row.id} {row.description}")


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit("usage: tayga.py VECTORS_DUMP")
    lab.exit_on_signals()
    dump = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
    rows = [Row.parse(line) for line in dump.splitlines()]
    with tempfile.TemporaryDirectory(prefix="clatvisor-tayga-") as scratch:
        play_all(rows, Path(scratch))
    report(rows)
    return 0 if all(row.ours for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
