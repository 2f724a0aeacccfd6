"""An uplink that is shaped by an ifb, as sqm-scripts do it: downloads through the CLAT are shaped with all others."""

from __future__ import annotations

import json
import signal
import socket
import time

from harness.case import WITHOUT_TCX, LabTest, every_interface
from harness.clatvisor import BIN, SLOW
from harness.lab import WAN0, Uplink, wait_until
from harness.traffic import Bulk, Client, Servers
from test_filter import Forged

TUN = WAN0.tun
IFB, OTHER_IFB = "ifb4wan0", "ifb4other"
MEGABIT = 1e6 / 8
RATE = 20 * MEGABIT  # of the shaper, bytes a second
U32 = ("protocol", "all", "prio", "10", "u32", "match", "u32", "0", "0", "flowid", "1:1")


class Native(Client):
    """The router's own IPv6."""

    def socket(self, kind: int, timeout: float = 5, proto: int = 0) -> socket.socket:
        sock = self.namespace.socket(socket.AF_INET6, kind, proto)
        sock.settimeout(timeout)
        return sock


def rate(client: Client, host: str) -> float:
    """Bytes a second of a download, without its first quarter: what a shaper lets through at once has passed by then."""
    download = Bulk(client, host)
    download.wait_bytes(int(RATE * 0.8))
    download.finish()
    arrivals = download.arrivals[len(download.arrivals) // 4 :]
    return sum(size for _, size in arrivals[1:]) / (arrivals[-1][0] - arrivals[0][0])


class Shaped(LabTest):
    uplinks: tuple[Uplink, ...] = (WAN0,)
    nat64 = False
    parent: tuple[str, ...] = ("parent", "ffff:")

    def setUp(self) -> None:
        super().setUp()
        self.router = self.lab.router
        native = Servers(self.lab.plat, WAN0.gateway)
        self.addCleanup(native.close)

    def tc(self, *words: str) -> None:
        self.router.run("tc", *words)

    def make_ifb(self, name: str = IFB, megabits: int = 20) -> None:
        self.router.ip(f"link add {name} type ifb", f"link set {name} up")
        self.tc("qdisc", "add", "dev", name, "root", "tbf", "rate", f"{megabits}mbit", "burst", "20k", "latency", "50ms")

    def to(self, device: str) -> tuple[str, ...]:
        return ("filter", "add", "dev", WAN0.name, *self.parent, *U32, "action", "mirred", "egress", "redirect", "dev", device)

    def redirect(self, device: str = IFB) -> None:
        self.tc(*self.to(device))

    def shape(self, device: str = IFB) -> None:
        """As sqm-scripts do."""
        self.make_ifb(device)
        self.router.run("tc", "qdisc", "add", "dev", WAN0.name, "handle", "ffff:", "ingress", check=False)  # clsact has its place
        self.redirect(device)

    def unshape(self) -> None:
        self.tc("filter", "del", "dev", WAN0.name, *self.parent, "prio", "10")
        self.router.run("tc", "qdisc", "del", "dev", WAN0.name, "ingress", check=False)

    def copies(self) -> list[str]:
        """Where IPv4 that comes in by the tun goes."""
        shown = self.router.run("tc", "filter", "show", "dev", TUN, "ingress", check=False)
        return [part.split(")")[0] for part in shown.split("Redirect to device ")[1:]]

    def assert_shaped(self, *, native: bool = True) -> None:
        found = rate(self.lab.client(WAN0), self.lab.direct_v4)
        print(f"through the CLAT: {found / MEGABIT:.1f} Mbit/s")
        self.assertLess(found, 1.1 * RATE)
        self.assertGreater(found, 0.7 * RATE / SLOW)
        if native:
            found = rate(Native(self.router), WAN0.gateway)
            print(f"native IPv6: {found / MEGABIT:.1f} Mbit/s")
            self.assertLess(found, 1.1 * RATE)

    def assert_free(self) -> None:
        self.assertGreater(rate(self.lab.client(WAN0), self.lab.direct_v4), 3 * RATE / SLOW)

    def status(self) -> dict:
        asked = self.router.run(str(BIN / "clatctl"), "--socket", str(self.program.folder / "control.sock"), "status", "--json")
        return json.loads(asked)["interfaces"][0]

    def explained(self) -> str:
        return self.router.run(str(BIN / "clatctl"), "--socket", str(self.program.folder / "control.sock"), "explain")


class ByTcx(Shaped):
    wrap: tuple[str, ...] = ()

    def begin(self, **options) -> None:
        self.start(wrap=self.wrap, **options)

    def test_downloads_are_shaped_while_the_uplink_is(self) -> None:
        self.shape()
        before = self.snapshot()
        self.begin()
        followed = self.program.wait_event("shaping.followed", WAN0.name)
        self.assertEqual((followed["device"], followed["filter"], followed["ctinfo"]), (IFB, "u32", "no"))
        self.assert_shaped()
        status = self.status()
        self.assertEqual((status["shaping"], status["shaped_by"]), ("followed", IFB))
        self.assertIn(f"Shaped uplink: downloads follow {IFB}.", self.explained())
        self.program.stop()
        self.assert_unchanged(before, "after a stop")

    def test_it_comes_changes_and_goes(self) -> None:
        self.begin(change=lambda config: config.update({"audit-interval": "60s"}))
        self.assertEqual(self.status()["shaping"], "none")
        self.assert_free()
        since = self.program.mark()
        begin = time.monotonic()
        self.shape()
        took = self.program.wait_event("shaping.followed", WAN0.name, since=since, device=IFB).at - begin
        print(f"followed {1000 * took:.0f} ms after the first call of tc")
        self.assertEqual(self.copies(), [IFB])
        self.assert_shaped()

        self.make_ifb(OTHER_IFB)
        since = self.program.mark()
        self.tc("filter", "del", "dev", WAN0.name, *self.parent, "prio", "10")
        self.program.wait_event("shaping.ended", WAN0.name, since=since, device=IFB)
        self.redirect(OTHER_IFB)
        self.program.wait_event("shaping.followed", WAN0.name, since=since, device=OTHER_IFB)
        self.assertEqual(self.copies(), [OTHER_IFB])
        self.assert_shaped(native=False)

        since = self.program.mark()
        self.unshape()
        self.program.wait_event("shaping.ended", WAN0.name, since=since, device=OTHER_IFB)
        self.assertEqual(self.copies(), [])
        self.assert_free()
        self.assertEqual(self.program.find("clat.down") + self.program.find("fastpath.lost"), [])
        self.program.stop()

    def test_an_ifb_that_goes_takes_nothing_along(self) -> None:
        self.shape()
        self.begin(change=lambda config: config.update({"audit-interval": "60s"}))
        self.program.wait_event("shaping.followed", WAN0.name)
        client = self.lab.client(WAN0)
        client.udp_echo(self.lab.direct_v4)  # the router's address is known: an ifb that is down drops what neighbours say
        for undo, again in ((f"link set {IFB} down", f"link set {IFB} up"), (f"link delete {IFB}", None)):
            since = self.program.mark()
            self.router.ip(undo)
            self.program.wait_event("shaping.ended", WAN0.name, since=since, reason="the ifb of the uplink is down or gone")
            client.udp_echo(self.lab.direct_v4)
            self.assertEqual(self.status()["shaping"], "ifb-down")
            if again:
                self.router.ip(again)
                self.program.wait_event("shaping.followed", WAN0.name, since=since)
        self.program.stop()

    def test_what_somebody_takes_away_comes_back(self) -> None:
        self.shape()
        self.begin(change=lambda config: config.update({"audit-interval": "60s"}))
        self.program.wait_event("shaping.followed", WAN0.name)
        pref = str(0x464)
        others = ("ingress", "protocol", "ip", "prio", "2000", "u32", "match", "ip", "dst", "192.0.2.9", "flowid", "1:1")
        self.tc("filter", "add", "dev", TUN, *others)
        for hand in (("filter", "del", "dev", TUN, "ingress", "prio", pref), ("qdisc", "del", "dev", TUN, "clsact")):
            since = self.program.mark()
            self.tc(*hand)
            self.program.wait_event("part.lost", WAN0.name, since=since, part="shaping")
            wait_until(lambda: self.copies() == [IFB], 5 * SLOW, "it is made again")
            self.assertEqual(self.program.find("shaping.ended", since=since), [])
            if hand[0] == "filter":
                self.assertIn("192.0.2.9", self.router.run("tc", "-p", "filter", "show", "dev", TUN, "ingress"))
        self.assert_shaped(native=False)
        # Another's filter stays when ours goes.
        self.tc("filter", "add", "dev", TUN, *others)
        self.unshape()
        self.program.wait_event("shaping.ended", WAN0.name)
        self.assertIn("192.0.2.9", self.router.run("tc", "-p", "filter", "show", "dev", TUN, "ingress"))
        self.program.stop()

    def test_after_a_kill(self) -> None:
        self.shape()
        self.begin()
        self.program.wait_event("shaping.followed", WAN0.name)
        download = Bulk(self.lab.client(WAN0), self.lab.direct_v4)
        self.program.process.kill()
        self.program.process.wait()
        download.wait_bytes(int(RATE / 4))
        self.assertEqual(self.copies(), [IFB])
        since = self.program.mark()
        self.program.start().wait_up(since=since)
        self.program.wait_event("shaping.followed", WAN0.name, since=since)
        download.wait_bytes(int(RATE / 4))
        download.finish()
        self.assert_shaped(native=False)
        # What went meanwhile is not followed any more, though nobody was there to hear of it.
        self.program.process.kill()
        self.program.process.wait()
        self.unshape()
        self.router.ip(f"link delete {IFB}")
        since = self.program.mark()
        self.program.start().wait_up(since=since)
        wait_until(lambda: "ingress" not in self.router.run("tc", "filter", "show", "dev", TUN, "ingress"), 5 * SLOW, "the copy is gone")
        self.assert_free()
        self.program.stop()

    def test_ignore_and_follow_by_a_reload(self) -> None:
        self.shape()
        self.begin()
        self.program.wait_event("shaping.followed", WAN0.name)
        download = Bulk(self.lab.client(WAN0), self.lab.direct_v4)
        config = self.program.default_config()
        every_interface(shaping="ignore")(config)
        since = self.program.mark()
        self.program.reload(config)
        self.program.wait_event("shaping.ended", WAN0.name, since=since, reason="not followed, by the config")
        self.assertEqual(self.copies(), [])
        self.assertIn("`shaping: follow` does.", self.explained())
        self.assert_free()
        every_interface(shaping="follow")(config)
        self.program.reload(config)
        self.program.wait_event("shaping.followed", WAN0.name, since=since)
        download.finish()
        self.assert_shaped(native=False)
        self.assertEqual(self.program.find("clat.down"), [])
        self.assertEqual(len(self.program.find("clat.spawned")), 1)
        self.program.stop()


class ByClsact(ByTcx):
    wrap = tuple(WITHOUT_TCX)
    parent = ("ingress",)  # of all filters the kernel shows the parent that was named last, and this is ours


class Ignored(Shaped):
    def test_what_cannot_be_copied_is_told_once(self) -> None:
        self.router.ip("link add dummy1 type veth peer name dummy2", "link set dummy1 up", "link set dummy2 up")
        self.tc("qdisc", "add", "dev", WAN0.name, "handle", "ffff:", "ingress")
        self.tc("filter", "add", "dev", WAN0.name, "parent", "ffff:", "protocol", "ipv6", "prio", "7", "u32", "match", "ip6", "dst", "2001:db8:9::/48", "flowid", "1:1")
        self.start(change=lambda config: config.update({"audit-interval": "100ms"}))
        ignored = self.program.wait_event("shaping.ignored", WAN0.name)
        self.assertEqual(ignored["reason"], "its u32 filter of pref 7 does not see what the fast path takes in")
        self.lab.client(WAN0).udp_echo(self.lab.direct_v4)
        since = self.program.mark()
        # Native IPv6 goes there for good; what the CLAT carries is not led astray.
        self.redirect("dummy1")
        ignored = self.program.wait_event("shaping.ignored", WAN0.name, since=since)
        self.assertEqual(ignored["reason"], "what comes in by the uplink is redirected to a device that is no ifb")
        self.assertEqual(self.copies(), [])
        self.assertEqual(self.status()["shaping"], "no-ifb")
        self.program.send_signal(signal.SIGUSR1)
        self.program.wait_event("state.dump", since=since)
        self.assertEqual(len(self.program.find("shaping.ignored", WAN0.name)), 2)
        self.program.stop()

    def test_off_the_fast_leg_the_uplink_shapes(self) -> None:
        self.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.shape()
        self.start(change=every_interface(fast_path="off"))
        self.assert_shaped(native=False)
        self.assertEqual(self.copies(), [])
        self.assertEqual(self.status()["shaping"], "by-uplink")
        self.assertEqual(self.program.find("shaping.followed") + self.program.find("shaping.ignored"), [])
        self.program.stop()


class Forging(Forged):
    """What an ifb hands to the stack passes by every program: so the check of what clatd writes comes first."""

    def test_what_clatd_writes_is_checked_before_it_is_shaped(self) -> None:
        for wrap in ((), WITHOUT_TCX):
            with self.subTest(wrap):
                for uplink in self.uplinks:
                    ifb = f"ifb4{uplink.name}"
                    self.lab.router.ip(f"link add {ifb} type ifb", f"link set {ifb} up")
                    self.lab.router.run("tc", "qdisc", "add", "dev", uplink.name, "handle", "ffff:", "ingress")
                    self.lab.router.run("tc", "filter", "add", "dev", uplink.name, "parent", "ffff:", *U32, "action", "mirred", "egress", "redirect", "dev", ifb)
                self.start_forging(fast_path="required", wrap=wrap)
                for uplink in self.uplinks:
                    self.program.wait_event("shaping.followed", uplink.name)
                self.assert_confined()
                for uplink in self.uplinks:
                    # Of two filters, ours and the copy, the copy alone has an action.
                    sent = self.lab.router.run("tc", "-s", "filter", "show", "dev", uplink.tun, "ingress").split("Sent ")
                    self.assertEqual(len(sent), 2)
                    self.assertGreater(int(sent[1].split()[2]), 0, "what may come in was shaped")
                self.program.stop()
                for uplink in self.uplinks:
                    self.lab.router.run("tc", "qdisc", "del", "dev", uplink.name, "ingress")
                    self.lab.router.ip(f"link delete ifb4{uplink.name}")
