"""A foreign hand takes parts of the programs away, at random and under traffic: all of them come back."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from harness import leaks, snapshot
from harness.case import WITHOUT_TCX, LabTest, rounds
from harness.clatvisor import SLOW, open_fds
from harness.lab import WAN0, wait_until
from harness.namespace import CommandFailed
from harness.traffic import UdpStream

TUN = "v4-wan0"
DIRECTIONS = {"wan0": ("ingress",), TUN: ("ingress", "egress")}


def bpftool(*argv: str | Path) -> list | dict:
    done = subprocess.run(["bpftool", "-j", *argv], check=True, capture_output=True)
    return json.loads(done.stdout or "null")


class Hands(LabTest):
    """Ways to take a part of fast path or filter away."""

    uplinks = (WAN0,)
    nat64 = False
    wrap: list[str] = []
    audit = "50ms"

    def setUp(self) -> None:
        super().setUp()
        self.start(wrap=self.wrap, change=lambda config: config.update({"audit-interval": self.audit}))
        self.kind = self.program.find("fastpath.attached", "wan0")[0]["kind"]
        self.pins = next((self.lab.bpffs / "clatvisor").iterdir())
        self.router = self.lab.router
        seed = int(os.environ.get("CLATVISOR_SEED") or int.from_bytes(os.urandom(4)))
        print(f"CLATVISOR_SEED={seed}")
        self.dice = random.Random(seed)

    def indexes(self) -> list[int]:
        return [self.router.link_index(name) for name in DIRECTIONS]

    def ours(self) -> dict[str, object]:
        """Which of our programs is where, and what is pinned; equal before and after, but for the numbers."""
        hooks = {name: {way: len(ids) for way, ids in snapshot.tcx(self.router, name).items()} for name in DIRECTIONS}
        filters = {name: {way: len(all_) for way, all_ in snapshot.filters(self.router, name).items()} for name in DIRECTIONS}
        return {"tcx": hooks, "filters": filters, "pins": sorted(pin.name for pin in self.pins.iterdir())}

    def kernel_objects(self) -> dict[str, int]:
        """Programs that use our maps, links that run those, and what of BPF the supervisor holds open."""
        maps = {bpftool("map", "show", "pinned", self.pins / name)["id"] for name in ("interfaces", "counters")}
        programs = {one["id"] for one in bpftool("prog", "show") if maps & set(one.get("map_ids", ()))}
        links = [one for one in bpftool("link", "show") if one.get("prog_id") in programs]
        # An audit has some open for a moment.
        held = min(sum("bpf" in name for name in open_fds(self.program.pid).values()) for _ in range(10))
        return {"programs": len(programs), "links": len(links), "held": held}

    def tc(self, *argv: str) -> None:
        """Again, while the supervisor is just asking: the kernel takes nothing away from under a question."""

        def done() -> bool:
            try:
                self.router.run("tc", *argv)
            except CommandFailed as failure:
                if "ongoing filter requests" not in str(failure):
                    raise
                return False
            return True

        wait_until(done, 5 * SLOW, f"tc {' '.join(argv)}")

    # The hands. Each says what it did.

    def unlink(self, *names: str) -> str:
        name = self.dice.choice([pin.name for pin in self.pins.iterdir() if pin.name.startswith(names)])
        (self.pins / name).unlink()
        return f"pin {name}"

    def unlink_link(self) -> str:
        return self.unlink("link-")

    def unlink_map(self) -> str:
        return self.unlink("interfaces", "counters")

    def detach_link(self) -> str:
        pin = self.dice.choice([pin for pin in self.pins.iterdir() if pin.name.startswith("link-")])
        bpftool("link", "detach", "pinned", pin)
        return f"detach {pin.name}"

    def delete_entry(self) -> str:
        name = self.dice.choice(("interfaces", "counters"))
        index = self.dice.choice(self.indexes()) if name == "interfaces" else self.router.link_index("wan0")
        key = [str(byte) for byte in index.to_bytes(4, "little")]
        bpftool("map", "delete", "pinned", self.pins / name, "key", *key)
        return f"entry {index} of {name}"

    def delete_filter(self) -> str:
        name = self.dice.choice(list(DIRECTIONS))
        way = self.dice.choice(DIRECTIONS[name])
        self.tc("filter", "del", "dev", name, way)
        return f"filters of {name} {way}"

    def delete_qdisc(self) -> str:
        name = self.dice.choice(list(DIRECTIONS))
        self.tc("qdisc", "del", "dev", name, "clsact")
        return f"clsact of {name}"

    def wait_repaired(self, mark: int, whole: dict[str, object], did: str) -> float:
        """When the last that was lost was back. A hand may take of both, one after the other."""
        program = self.program

        def repaired() -> float | None:
            lost = program.find("fastpath.lost", "wan0", mark) + program.find("part.lost", "wan0", mark, part="filter")
            back = program.find("fastpath.restored", "wan0", mark) + program.find("filter.restored", "wan0", mark)
            self.assertTrue(all(one["reason"] for one in lost), did)
            whole_again = lost and len(back) >= len(lost) and self.ours() == whole
            return max(one.at for one in back) if whole_again else None

        return wait_until(repaired, 10 * SLOW, f"repaired after {did}: {program.tail()}")

    def hands(self):
        if self.kind == "tcx":
            return (self.unlink_link, self.unlink_map, self.detach_link, self.delete_entry)
        return (self.delete_filter, self.delete_qdisc, self.unlink_map, self.delete_entry)

    def check_that_everything_comes_back(self) -> None:
        laps = rounds(1000, f"a foreign hand at the fast path ({self.kind})")
        stream = UdpStream(self.lab.client(WAN0), self.lab.direct_v4, 200)
        before, counts, objects = self.ours(), leaks.count(self.program), self.kernel_objects()
        slowest: dict[str, float] = {}
        for _ in range(laps):
            hand = self.dice.choice(self.hands())
            mark = self.program.mark()
            begin = time.monotonic()
            did = hand()
            took = self.wait_repaired(mark, before, did) - begin
            slowest[hand.__name__] = max(took, slowest.get(hand.__name__, 0))
        for name, took in slowest.items():
            print(f"{name}: restored within {1000 * took:.0f} ms")
        sent, lost = stream.finish()
        print(f"{sent} datagrams, {lost} lost")
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        leaks.assert_none(counts, self.program)
        wait_until(lambda: self.kernel_objects() == objects, 20 * SLOW, "as many programs, maps and links as before")

    def repairs(self, hand, count: int) -> list[float]:
        """Seconds from the end of what a hand does to the repair."""
        took = []
        whole = self.ours()
        for _ in range(count):
            mark = self.program.mark()
            did = hand()
            done = time.monotonic()
            took.append(self.wait_repaired(mark, whole, did) - done)
        print(f"{hand.__name__}: restored within {', '.join(f'{1000 * one:.0f}' for one in sorted(took))} ms")
        return took


class ForeignHand(Hands):
    """By what this kernel has."""

    def test_everything_comes_back(self) -> None:
        self.check_that_everything_comes_back()


class ForeignHandAtClsact(Hands):
    wrap = WITHOUT_TCX

    def test_everything_comes_back(self) -> None:
        self.assertEqual(self.kind, "clsact")
        self.check_that_everything_comes_back()


class Notice(Hands):
    """With the audit every 5 s, as it is when nobody says otherwise."""

    audit = "5s"

    def test_by_the_audit_where_nothing_tells(self) -> None:
        hand = self.unlink_link if self.kind == "tcx" else self.unlink_map
        self.assertLess(max(self.repairs(hand, 2)), 5 + 1 * SLOW)


class NoticeAtClsact(Hands):
    wrap = WITHOUT_TCX
    audit = "5s"

    def test_at_once_where_netlink_tells(self) -> None:
        for hand in (self.delete_filter, self.delete_qdisc):
            self.assertLess(max(self.repairs(hand, 15)), 0.1 * SLOW)

    def test_the_kind_is_told(self) -> None:
        self.assertEqual(self.kind, "clsact")
        self.assertEqual(self.program.find("clat.up", "wan0")[0]["path"], "clsact")
        since = self.program.mark()
        self.program.send_signal(signal.SIGUSR1)

        def told() -> bool:
            return any(" fast_path=clsact" in dump["line"] for dump in self.program.find("state.dump", since=since))

        wait_until(told, 5 * SLOW, "the dump names the kind")
