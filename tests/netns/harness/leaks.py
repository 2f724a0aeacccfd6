"""What must not grow, counted: for "as many as before"."""

from __future__ import annotations

import collections

from . import snapshot
from .clatvisor import Clatvisor
from .lab import wait_until


def count(program: Clatvisor) -> dict[str, object]:
    """Comparable with snapshot.differences. Addresses may differ from round to round, so routes are counted."""
    router = program.lab.router
    shot = snapshot.take(router, program.lab.bpffs)

    def by_direction(key: str) -> dict[str, dict[str, int]]:
        return {link: {way: len(all_) for way, all_ in found.items()} for link, found in shot[key].items()}

    return {
        "fds": dict(collections.Counter(snapshot.open_files(program.pid))),
        "links": sorted(shot["links"]),
        "routes4": len(shot["routes4"]),
        "routes6": len(shot["routes6"]),
        "proxy": len(shot["proxy"]),
        "anycast": len(shot["anycast"]),
        "filters": by_direction("filters"),
        "tcx": by_direction("tcx"),
        "pins": len(shot["bpffs"]),
        "processes": sorted(name for _, name in shot["processes"]),
    }


def assert_none(before: dict[str, object], program: Clatvisor, timeout: float = 20) -> None:
    """A blackhole outlives its address by a grace period, so there is time until the counts are as they were."""
    last: list[str] = []

    def as_before() -> bool:
        last[:] = snapshot.differences(before, count(program))
        return not last

    try:
        wait_until(as_before, timeout, "counts as before", every=0.25)
    except AssertionError:
        raise AssertionError("leaked:\n" + "\n".join(last)) from None
