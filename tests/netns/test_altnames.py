"""Uplinks that the config names by an altname, which may be longer than a name."""

from __future__ import annotations

from harness.case import LabTest
from harness.lab import WAN0

LONG = "enx001122334455-of-the-first-provider-in-the-cellar"


def by(*names: str):
    """The config has these names for wan0, in place of its own."""

    def change(config: dict) -> None:
        keys = config["interfaces"].pop("wan0")
        config["interfaces"] = {**{name: dict(keys) for name in names}, **config["interfaces"]}

    return change


class Altnames(LabTest):
    def property(self, verb: str, name: str = LONG) -> None:
        self.lab.router.ip(f"link property {verb} dev wan0 altname {name}")

    def serves(self) -> None:
        client = self.lab.client(WAN0)
        client.udp_echo(self.lab.server_v4)
        client.tcp_echo(self.lab.server_v4, size=20_000)

    def test_at_start_and_after_a_crash(self) -> None:
        self.property("add")
        program = self.start(change=by(LONG), up=False)
        program.wait_up("wan0", "wwan0")
        self.serves()
        program.kill()
        since = program.mark()
        program.start()
        program.wait_event("supervisor.adopted", "wan0", since=since)
        program.wait_event("clat.up", "wan0", since=since)
        self.serves()
        program.stop()

    def test_given_and_taken_while_it_runs(self) -> None:
        program = self.start(change=by(LONG), up=False)
        program.wait_event("clat.waiting", LONG, reason_code="no-link")
        for _ in range(2):
            since = program.mark()
            self.property("add")
            program.wait_event("clat.up", "wan0", since=since)
            self.serves()
            since = program.mark()
            self.property("del")
            program.wait_event("clat.down", "wan0", since=since)
            program.wait_event("clat.waiting", LONG, since=since)
        program.stop()

    def test_two_names_of_one_link(self) -> None:
        self.property("add")
        self.property("add", "wan-other")
        program = self.start(change=by(LONG, "wan-other"), up=False)
        program.wait_event("clat.failed", "wan-other", reason_code="same-link")
        program.wait_up("wan0", "wwan0")
        self.serves()
        self.assertEqual(len(program.find("clat.failed")), 1)
        program.stop()
