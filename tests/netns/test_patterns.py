"""Uplinks that the config names by a pattern: links come, go and are renamed live."""

from __future__ import annotations

from harness.case import LabTest
from harness.clatvisor import SLOW, children_of
from harness.lab import WWAN0, wait_until
from test_scale import ManyUplinks


def by_pattern(config: dict) -> None:
    config["interfaces"]["ww[!x]*"] = config["interfaces"].pop("wwan0")


class Patterns(LabTest):
    def serves(self) -> None:
        client = self.lab.client(WWAN0)
        client.udp_echo(self.lab.server_v4)
        client.tcp_echo(self.lab.server_v4, size=20_000)

    def test_links_come_and_go(self) -> None:
        self.lab.delete_link(WWAN0)
        program = self.start(change=by_pattern, up=False)
        program.wait_up("wan0")
        program.wait_event("clat.waiting", "ww[!x]*", reason_code="no-match")
        other = program.wait_clatd("wan0")
        for _ in range(2):
            since = program.mark()
            self.lab.make_link(WWAN0)
            program.wait_event("clat.up", "wwan0", since=since)
            self.serves()
            self.assertIn("2049", self.lab.router.run("ip", "-4", "route", "show", "default", "dev", "v4-wwan0"))
            since = program.mark()
            self.lab.delete_link(WWAN0)
            program.wait_event("clat.down", "wwan0", since=since)
            program.wait_event("clat.waiting", "ww[!x]*", since=since)
        self.assertEqual(program.wait_clatd("wan0"), other)
        program.stop()

    def test_renamed_out_and_in(self) -> None:
        program = self.start(change=by_pattern)
        since = program.mark()
        self.lab.router.ip("link set wwan0 down", "link set wwan0 name lte0", "link set lte0 up")
        program.wait_event("clat.waiting", "ww[!x]*", since=since, reason_code="no-match")
        wait_until(lambda: "v4-wwan0" not in self.lab.router.run("ip", "-br", "link"), 15 * SLOW, "its tun is gone")
        since = program.mark()
        self.lab.router.ip("link set lte0 down", "link set lte0 name wwan0", "link set wwan0 up")
        self.lab.add_address(WWAN0)
        program.wait_event("clat.up", "wwan0", since=since)
        self.serves()
        program.stop()

    def test_a_reload_touches_what_matches_no_more(self) -> None:
        program = self.start(change=by_pattern)
        other = program.wait_clatd("wan0")
        config = program.default_config()
        keys = config["interfaces"].pop("wwan0")
        config["interfaces"]["wwan[1-9]"] = keys
        since = program.mark()
        program.reload(config)
        program.wait_event("clat.down", "wwan0", since=since, reason_code="removed")
        program.wait_event("clat.waiting", "wwan[1-9]", since=since)
        since = program.mark()
        config["interfaces"]["ww*"] = config["interfaces"].pop("wwan[1-9]")
        program.reload(config)
        program.wait_event("clat.up", "wwan0", since=since)
        self.assertEqual(program.wait_clatd("wan0"), other)
        self.serves()
        program.stop()

    def test_adopted_after_a_crash(self) -> None:
        before = self.snapshot()
        program = self.start(change=by_pattern)
        program.kill()
        since = program.mark()
        program.start()
        for name in ("wan0", "wwan0"):
            program.wait_event("supervisor.adopted", name, since=since)
            program.wait_event("clat.up", name, since=since)
        self.serves()
        program.stop()
        self.assert_unchanged(before, "a stop leaves nothing")


class FortyLinks(ManyUplinks):
    number = 40

    def test_at_once(self) -> None:
        prefix = "2001:db8:ffff::/96"
        self.lab.router.ip(*(f"route add {prefix} via fe80::1 dev w{i} onlink metric {1000 + i}" for i in range(self.number)))
        self.lab.router.ip(*(f"link set w{i} down" for i in range(self.number)))
        program = self.start(
            up=False, change=lambda config: config.update({"interfaces": {"w*": {"nat64-prefix": prefix}}, "ipv4-pool": "10.64.0.0/23"})
        )
        self.lab.router.ip(
            *(f"link set w{i} up" for i in range(self.number)),
            *(f"address replace 2001:db8:{i + 1:x}::2/64 dev w{i} nodad" for i in range(self.number)),
            *(f"route replace {prefix} via fe80::1 dev w{i} onlink metric {1000 + i}" for i in range(self.number)),
            *(f"route replace 2001:db8:ff00:{i:x}::/96 via fe80::1 dev w{i} onlink" for i in range(self.number)),
        )
        program.wait_up(*(f"w{i}" for i in range(self.number)), timeout=30)
        routes = self.lab.router.ip_json("-4", "route", "show", "default")
        self.assertEqual(sorted(route["metric"] for route in routes), list(range(2048, 2048 + self.number)))
        self.assertEqual(len({route["prefsrc"] for route in routes}), self.number)
        children = children_of(program.pid)
        since = program.mark()
        self.lab.router.ip(*(f"link del w{i}" for i in range(0, self.number, 2)))
        gone = [f"w{i}" for i in range(0, self.number, 2)]
        for name in gone:
            program.wait_event("clat.down", name, since=since)
        wait_until(lambda: len(children_of(program.pid)) == self.number // 2, 10 * SLOW, "their clatds are gone")
        self.assertLess(set(children_of(program.pid)), set(children))
        self.assertEqual([event.line for event in program.find("clat.down", since=since) if event.iface not in gone], [])
        program.stop()
        self.assertNotIn("v4-w", self.lab.router.run("ip", "-br", "link"))
