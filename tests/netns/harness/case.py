"""What the test cases share."""

from __future__ import annotations

import os
import sys
import unittest
from collections.abc import Callable, Iterable
from pathlib import Path

from . import snapshot
from .clatvisor import Clatvisor
from .lab import WAN0, WWAN0, Lab, Uplink, wait_until


def every_interface(**keys: object) -> Callable[[dict], None]:
    """For start(change=…): these keys on every interface, with - for _."""

    def change(config: dict) -> None:
        for interface in config["interfaces"].values():
            interface.update({key.replace("_", "-"): value for key, value in keys.items()})

    return change


# For start(wrap=…): attaches by clsact, as below Linux 6.6.
WITHOUT_TCX = [sys.executable, str(Path(__file__).resolve().parents[1] / "without_tcx.py")]

# Of BothPaths.fast_paths: there is no BPF to be had, and nftables stands in for it.
WITHOUT_BPF = "no BPF"

# tests/run.sh --full: more; with sanitizers: fewer.
ROUNDS = float(os.environ.get("CLATVISOR_TEST_ROUNDS", "1"))


def rounds(usual: int, what: str) -> int:
    """How often to repeat; printed, and shown again at the end of tests/run.sh."""
    number = max(3, int(usual * ROUNDS))
    print(f"rounds: {number} of {what}", flush=True)
    return number


class LabTest(unittest.TestCase):
    uplinks: tuple[Uplink, ...] = (WAN0, WWAN0)
    nat64 = True
    lan = False
    relay = False
    prefix_routes = True
    mtu = 1500
    nat64_mtu: int | None = None

    def setUp(self) -> None:
        self.lab = Lab(
            self.uplinks, nat64=self.nat64, lan=self.lan, relay=self.relay, prefix_routes=self.prefix_routes,
            mtu=self.mtu, nat64_mtu=self.nat64_mtu,
        )  # fmt: skip
        self.addCleanup(self.lab.close)
        self.lab.serve()

    def start(self, *, up: bool = True, change: Callable[[dict], None] | None = None, **options) -> Clatvisor:
        """The program with IPv4 up on every uplink of the lab. `change` edits the config before it is written."""
        self.program = Clatvisor(self.lab, **options)
        config = self.program.default_config()
        if change:
            change(config)
        self.program.write_config(config)
        self.program.start()
        if up:
            self.program.wait_up()
        return self.program

    def snapshot(self) -> dict[str, object]:
        # Link-local addresses of links that were just made settle by themselves.
        tentative = lambda: self.lab.router.run("ip", "-6", "-o", "address", "show", "tentative")  # noqa: E731
        wait_until(lambda: not tentative(), 10, "no address is tentative any more")
        return snapshot.take(self.lab.router, self.lab.bpffs)

    def assert_unchanged(self, before: dict[str, object], what: str, *, timeout: float = 3) -> None:
        """As before; the kernel frees programs, and IPv6 routes of a link, a moment after the fact."""
        last: list[str] = []

        def same() -> bool:
            last[:] = snapshot.differences(before, self.snapshot())
            return not last

        try:
            wait_until(same, timeout, what, every=0.05)
        except AssertionError:
            self.fail(f"{what}:\n" + "\n".join(last) + f"\nthe log ends:\n{self.program.tail()}")


class EachVariant(LabTest):
    """Each test once for each variant, each time in a lab of its own."""

    def variants(self) -> Iterable[dict[str, object]]:
        """What each has for attributes."""
        raise NotImplementedError

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        for attributes in self.variants():
            each = type(self)(self._testMethodName)
            vars(each).update(attributes)
            result = super(EachVariant, each).run(result)
        return result


class BothPaths(EachVariant):
    """Each test twice: through clatd alone, and with the fast path attached."""

    fast_paths: tuple[str, ...] = ("off", "required")
    fast_path = ""

    def variants(self) -> Iterable[dict[str, object]]:
        return [{"fast_path": each} for each in self.fast_paths]

    def __str__(self) -> str:
        return f"{super().__str__()} fast-path: {self.fast_path}"

    def setUp(self) -> None:
        super().setUp()
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)  # for clatd alone

    def start(self, *, change: Callable[[dict], None] | None = None, **options) -> Clatvisor:
        def change_both(config: dict) -> None:
            if self.fast_path == WITHOUT_BPF:
                config["bpf-dir"] = self.lab.scratch / "no-bpffs"
            else:
                every_interface(fast_path=self.fast_path)(config)
            if change:
                change(config)

        return super().start(change=change_both, **options)
