"""SIGHUP: what changed changes, and nothing else."""

from __future__ import annotations

import re
import signal

from harness.case import LabTest
from harness.clatvisor import NO_LEAK_CHECK, SLOW, Clatvisor
from harness.lab import SPARE0, WAN0, WWAN0, wait_until
from harness.strace import traced


def counters(event) -> dict[str, int]:
    return {key: int(value) for key, value in event.fields.items() if key not in ("pid",) and re.fullmatch(r"\d+", value)}


class Reload(LabTest):
    uplinks = (WAN0, WWAN0, SPARE0)

    def with_only(self, *names: str, **top: object) -> dict:
        """Metrics of their own, so that an interface does not change when another one goes."""
        config = self.program.default_config()
        config["interfaces"] = {
            name: config["interfaces"][name] | {"default-route": {"metric": 3000 + position}}
            for position, name in enumerate(config["interfaces"])
            if name in names
        }
        return config | top

    def start_two(self) -> None:
        self.program = Clatvisor(self.lab)
        self.program.write_config(self.with_only("wan0", "wwan0"))
        self.program.start()
        self.program.wait_up("wan0", "wwan0")
        self.children = {name: self.program.wait_clatd(name) for name in ("wan0", "wwan0")}

    def assert_same_child(self, *names: str) -> None:
        for name in names:
            self.assertEqual(self.program.wait_clatd(name), self.children[name], name)
            self.assertEqual(self.program.find("clat.down", name), [])

    def test_add_an_interface(self) -> None:
        self.start_two()
        self.program.reload(self.with_only("wan0", "wwan0", "spare0"))
        self.program.wait_up("spare0")
        self.lab.client(SPARE0).tcp_echo(self.lab.server_v4)
        self.assert_same_child("wan0", "wwan0")
        self.program.stop()

    def test_remove_an_interface(self) -> None:
        self.start_two()
        self.program.reload(self.with_only("wwan0"))
        self.program.wait_event("clat.down", "wan0")
        wait_until(lambda: self.lab.router.link_index("v4-wan0") is None, 5 * SLOW, "v4-wan0 goes")
        wait_until(lambda: self.program.clatd_pid("wan0") is None, 5 * SLOW, "clatd-wan0 goes")
        self.lab.client(WWAN0).tcp_echo(self.lab.server_v4)
        self.assert_same_child("wwan0")
        self.program.stop()

    def test_metrics_by_position_move_up(self) -> None:
        """Without a metric of its own an interface takes the place of one that goes; the child does not notice."""
        self.start()
        child = self.program.wait_clatd("wwan0")
        config = self.program.default_config()
        del config["interfaces"]["wan0"]
        self.program.reload(config)
        wait_until(
            lambda: [route["metric"] for route in self.lab.router.ip_json("-4", "route", "show", "default")] == [2048, 2049],
            10 * SLOW, "metrics",
        )  # fmt: skip
        for uplink in (WWAN0, SPARE0):
            self.lab.client(uplink).tcp_echo(self.lab.server_v4)
        self.assertEqual(self.program.wait_clatd("wwan0"), child)
        self.program.stop()

    def test_change_a_prefix(self) -> None:
        self.start_two()
        config = self.with_only("wan0", "wwan0")
        config["interfaces"]["wan0"]["nat64-prefix"] = SPARE0.prefix
        since = self.program.mark()
        self.program.reload(config)
        up = self.program.wait_event("clat.up", "wan0", since=since)
        self.assertEqual(up["prefix"], SPARE0.prefix)
        # The NAT64 is one host: it serves this prefix on every link.
        self.lab.router.ip(f"route replace {SPARE0.prefix} via {WAN0.gateway} dev wan0")
        self.lab.client(WAN0).tcp_echo(self.lab.server_v4)
        self.assertEqual(self.lab.client(WAN0).ping(self.lab.server_v4), 3)
        self.assert_same_child("wwan0")
        self.program.stop()

    def test_change_only_the_log_level(self) -> None:
        self.start_two()
        self.lab.client(WAN0).tcp_echo(self.lab.server_v4)
        self.program.reload(self.with_only("wan0", "wwan0", log={"level": "debug", "health-interval": "1s"}))
        before = counters(self.program.wait_event("health", "wan0"))
        since = self.program.mark()
        self.program.reload(self.with_only("wan0", "wwan0", log={"level": "info", "health-interval": "1s"}))
        after = counters(self.program.wait_event("health", "wan0", since=since))
        for key, value in before.items():
            self.assertGreaterEqual(after[key], value, key)
        self.assert_same_child("wan0", "wwan0")
        self.assertEqual(self.program.find("action.done", since=since), [])
        self.program.stop()

    def test_a_log_file_that_was_moved_away_is_opened_again_once(self) -> None:
        """For logrotate, also when the new configuration is refused."""
        self.start_two()
        log, trace = self.lab.scratch / "own.log", self.lab.scratch / "strace.out"
        config = self.with_only("wan0", "wwan0", log={"target": log})
        for new, event in ((config, "config.loaded"), (config, "config.loaded"), ("nonsense", "config.rejected")):
            if log.exists():
                log.rename(log.with_suffix(".old"))
            self.program.write_config(new)
            with traced(self.program.pid, trace, "openat"):
                self.program.send_signal(signal.SIGHUP)
                wait_until(lambda event=event: log.exists() and f"event={event} " in log.read_text(), 5 * SLOW, event)
            self.assertEqual(trace.read_text().count(f'"{log}"'), 1, event)
        self.program.stop()

    def test_unchanged_plans_nothing(self) -> None:
        """As the kernel saw it: strace of the whole reload."""
        # Nothing else may stir meanwhile.
        quiet = {"log": {"level": "debug", "health-interval": "1h"}, "audit-interval": "1h"}
        self.start(change=lambda config: config.update(quiet), env=NO_LEAK_CHECK)
        before = self.snapshot()
        since = self.program.mark()
        trace = self.lab.scratch / "strace.out"
        calls = "clone,clone3,vfork,execve,ioctl,bpf,sendmsg,sendto,unlink,unlinkat,rename,kill"
        with traced(self.program.pid, trace, calls):
            self.program.reload()
            # A dump answers only after the loop went round again.
            self.program.send_signal(signal.SIGUSR1)
            self.program.wait_event("state.dump", since=since)
        effects = [line for line in trace.read_text().splitlines() if "(" in line and "AF_UNIX" not in line]
        self.assertEqual(effects, [])
        self.assertEqual(self.program.find("action.done", since=since), [])
        self.assert_unchanged(before, "after a reload without change")
        self.program.stop()

    def test_broken_file_changes_nothing(self) -> None:
        self.start_two()
        broken = self.with_only("wan0", "wwan0")
        broken["interfaces"]["wan0"]["nat64-prefx"] = "64:ff9b::/96"
        rejected = self.program.reload(broken, expect="config.rejected")
        self.assertEqual(rejected["line"], "6")
        self.assertEqual(rejected["col"], "5")
        self.assertIn("nat64-prefix", rejected["reason"])
        self.assertTrue(rejected["file"].endswith("clatvisor.yaml"))
        self.assert_same_child("wan0", "wwan0")
        for uplink in (WAN0, WWAN0):
            self.lab.client(uplink).tcp_echo(self.lab.server_v4)
        # And the next good one is taken.
        self.program.reload(self.with_only("wan0", "wwan0", "spare0"))
        self.program.wait_up("spare0")
        self.assert_same_child("wan0", "wwan0")
        self.program.stop()

    def test_missing_file_changes_nothing(self) -> None:
        self.start_two()
        self.program.config_file.unlink()
        self.program.reload(expect="config.rejected")
        self.assert_same_child("wan0", "wwan0")
        self.lab.client(WAN0).tcp_echo(self.lab.server_v4)
        self.program.stop()

    def test_dump_shows_the_trackers_table(self) -> None:
        self.start_two()
        since = self.program.mark()
        self.program.send_signal(signal.SIGUSR1)

        def trackers() -> list[str]:
            return [event["line"] for event in self.program.find("state.dump", since=since) if "v4-" in event["line"]]

        wait_until(lambda: len([l for l in trackers() if "->" in l and "[v4-" in l]) >= 2, 5 * SLOW, "the dump")
        lines = "\n".join(trackers())
        for uplink in (WAN0, WWAN0):
            index = self.lab.router.link_index(uplink.name)
            tun = self.lab.router.link_index(uplink.tun)
            up = self.program.find("clat.up", uplink.name)[0]
            self.assertIn(f"{index}[{uplink.name}] {uplink.prefix} {up['v6']} -> {up['v4']} {tun}[{uplink.tun}]", lines)
        self.program.stop()
