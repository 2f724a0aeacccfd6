"""At clsact the filters of a hook run in their order: one in front of ours may take every packet away."""

from __future__ import annotations

import re
import time

from harness import snapshot
from harness.case import WITHOUT_TCX, LabTest, every_interface
from harness.clatvisor import NO_LEAK_CHECK, SLOW
from harness.lab import WAN0, WWAN0, Uplink, wait_until
from harness.strace import traced
from test_paths import stopped

TUN = WAN0.tun
SHAPER = "ifb4wan0"
NEW_FILTER, DEL_FILTER = "0x2c", "0x2d"  # RTM_NEWTFILTER, RTM_DELTFILTER
EVERY, U32 = ("protocol", "all"), ("u32", "match", "u32", "0", "0")
REDIRECT = ("action", "mirred", "egress", "redirect", "dev", SHAPER)


def rare_audits(config: dict) -> None:
    config["audit-interval"] = "60s"


def routed(config: dict) -> None:
    rare_audits(config)
    every_interface(fast_path="off")(config)


class AtClsact(LabTest):
    uplinks: tuple[Uplink, ...] = (WAN0,)
    nat64 = False

    def setUp(self) -> None:
        super().setUp()
        self.router = self.lab.router
        self.router.sysctl("net/ipv6/conf/all/forwarding", 1)  # for clatd alone
        # As sqm-scripts do: what comes in is shaped on its way out of an ifb, which hands it to the stack behind tc.
        self.router.run("ip", "link", "add", SHAPER, "type", "ifb")
        self.router.run("ip", "link", "set", SHAPER, "up")
        self.router.run("tc", "qdisc", "add", "dev", WAN0.name, "clsact")

    def shape(self, pref: int, *match: str, dev: str = WAN0.name, action: tuple[str, ...] = REDIRECT) -> None:
        self.router.run("tc", "filter", "add", "dev", dev, "ingress", "prio", str(pref), *(match or (*EVERY, *U32)), *action)

    def unshape(self, pref: int, dev: str = WAN0.name) -> None:
        self.router.run("tc", "filter", "del", "dev", dev, "ingress", "prio", str(pref))

    def prefs(self, dev: str = WAN0.name) -> list[int]:
        """Of our filters, as tc tells them."""
        lines = self.router.run("tc", "filter", "show", "dev", dev, "ingress").splitlines()
        return [int(line.split(" pref ")[1].split()[0]) for line in lines if "clat_" in line]

    def has_rules(self) -> bool:
        return "clatvisor" in self.router.run("nft", "list", "tables")

    def assert_fast(self) -> None:
        """clatd is not needed."""
        with stopped(self.program.wait_clatd(WAN0.name)):
            self.assertEqual(self.lab.client(WAN0).ping(self.lab.direct_v4, count=5, interval=0.05), 5)

    def assert_routed(self) -> None:
        client = self.lab.client(WAN0)
        self.assertEqual(client.ping(self.lab.direct_v4, count=5, interval=0.05), 5)
        client.tcp_echo(self.lab.direct_v4)


class InFront(AtClsact):
    def test_a_shaper_that_was_there_first(self) -> None:
        self.shape(2)
        before = self.snapshot()
        program = self.start(wrap=WITHOUT_TCX)
        self.assertEqual(self.prefs(), [1])
        self.assert_fast()
        program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_a_shaper_that_comes_later_is_noticed_at_once(self) -> None:
        before = self.snapshot()
        program = self.start(wrap=WITHOUT_TCX, change=rare_audits)
        self.assertEqual(self.prefs(), [4])
        since = program.mark()
        begin = time.monotonic()
        self.shape(3)
        took = program.wait_event("fastpath.restored", WAN0.name, since=since).at - begin
        print(f"in front again within {1000 * took:.0f} ms from the call of tc on")
        self.assertLess(took, 0.1 * SLOW)
        reason = program.find("fastpath.lost", WAN0.name, since)[0]["reason"]
        self.assertIn("the u32 filter of pref 3 takes every packet before ours", reason)
        self.assertEqual(self.prefs(), [2])
        self.assert_fast()
        self.assertEqual(program.find("clat.down"), [])
        # Where it is by then it stays, and is found there.
        self.unshape(3)
        self.assert_fast()
        self.assertEqual(self.prefs(), [2])
        program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_what_was_left_is_found_at_its_pref(self) -> None:
        before = self.snapshot()
        self.shape(2)
        program = self.start(wrap=WITHOUT_TCX)
        program.process.kill()
        program.process.wait()
        self.unshape(2)
        since = program.mark()
        program.start().wait_up(since=since)
        self.assertEqual(self.prefs(), [1])
        self.assert_fast()
        program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_nothing_goes_in_front_of_pref_1(self) -> None:
        """So IPv4 takes the routed leg, and comes back as soon as the shaper goes."""
        program = self.start(wrap=WITHOUT_TCX, change=rare_audits)
        for _ in range(3):
            since = program.mark()
            self.shape(1)
            done = time.monotonic()
            unavailable = program.wait_event("fastpath.unavailable", WAN0.name, since=since)
            self.assertLess(unavailable.at - done, 0.1 * SLOW)
            self.assertIn("the u32 filter of pref 1 takes every packet before ours", unavailable["reason"])
            self.assert_routed()
            self.assertEqual(self.prefs(), [])
            since = program.mark()
            self.unshape(1)
            done = time.monotonic()
            self.assertLess(program.wait_event("fastpath.restored", WAN0.name, since=since).at - done, 0.1 * SLOW)
            self.assert_fast()
        self.assertEqual(program.find("clat.down"), [])
        program.stop()

    def test_what_takes_nothing_of_ours_is_let_be(self) -> None:
        self.shape(1, "protocol", "ip", *U32)
        self.shape(2, "protocol", "ipv6", "u32", "match", "ip6", "dst", "2001:db8:9999::/48")
        self.shape(3, *EVERY, *U32, action=("action", "mirred", "egress", "mirror", "dev", SHAPER, "continue"))
        program = self.start(wrap=WITHOUT_TCX)
        self.assertEqual(self.prefs(), [4])
        self.assert_fast()
        program.stop()

    def test_what_clatd_writes_is_checked_before_it_is_shaped(self) -> None:
        program = self.start(wrap=WITHOUT_TCX, change=routed, env=NO_LEAK_CHECK)
        self.assertEqual(self.prefs(TUN), [4])
        trace = self.lab.scratch / "strace.out"
        with traced(program.pid, trace, "sendto,sendmsg"):
            self.shape(3, dev=TUN)
            wait_until(lambda: self.prefs(TUN) == [2], 5 * SLOW, "the check is in front")
        # There is one at every moment. In another namespace strace knows the types by number only.
        asked = re.findall(r"nlmsg_type=(\w+)", trace.read_text())
        self.assertEqual([kind for kind in asked if kind in (NEW_FILTER, DEL_FILTER)], [NEW_FILTER, DEL_FILTER])
        self.assert_routed()
        since = program.mark()
        self.shape(1, "protocol", "ip", *U32, dev=TUN)
        self.assertIn("of pref 1", program.wait_event("filter.unavailable", WAN0.name, since=since)["reason"])
        wait_until(self.has_rules, 5 * SLOW, "nftables checks it now")
        self.assertEqual(self.prefs(TUN), [])
        self.assert_routed()
        since = program.mark()
        self.unshape(1, dev=TUN)
        program.wait_event("filter.restored", WAN0.name, since=since, means="bpf")
        self.assertEqual(self.prefs(TUN), [2])
        wait_until(lambda: not self.has_rules(), 5 * SLOW, "and the program again")
        program.stop()


class OfOneUplink(AtClsact):
    uplinks = (WAN0, WWAN0)

    def test_is_no_matter_of_the_other(self) -> None:
        """Its programs stay, however often attaching fails here."""
        program = self.start(wrap=WITHOUT_TCX, change=lambda config: config.update({"audit-interval": "100ms"}))
        before = snapshot.programs(self.router, WWAN0.name)
        self.shape(1)
        program.wait_event("fastpath.unavailable", WAN0.name)
        for _ in range(3):
            self.shape(900)  # has it try again
            self.unshape(900)
        since = program.mark()
        self.unshape(1)
        program.wait_event("fastpath.restored", WAN0.name, since=since)
        self.lab.client(WWAN0).udp_echo(self.lab.direct_v4)
        self.assertEqual(snapshot.programs(self.router, WWAN0.name), before)
        self.assertEqual(program.find("fastpath.lost", WWAN0.name) + program.find("part.lost", WWAN0.name), [])
        program.stop()
