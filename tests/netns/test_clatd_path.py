"""Two uplinks without a fast path: where one cannot have a clatd, IPv4 goes by the other."""

from __future__ import annotations

import os
import signal
import time

from harness.case import LabTest
from harness.clatvisor import BIN, SLOW
from harness.lab import WAN0, WWAN0, wait_until


class NoClatd(LabTest):
    uplinks = (WAN0, WWAN0)

    def test_the_other_uplink_takes_over(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        broken = self.lab.scratch / "broken"
        clatd = self.lab.scratch / "clatd"
        clatd.write_text(
            f'#!/bin/bash\n[ "$2" = wan0 ] && [ -e {broken} ] && exit 1\nexec -a "clatd-$2" {BIN}/clatd "$@"\n'
        )
        clatd.chmod(0o755)

        def change(config: dict) -> None:
            config["clatd"] = {"path": clatd, "restart": {"initial": "300ms", "max": "300ms", "jitter": 0}}
            for each in config["interfaces"].values():
                each["fast-path"] = "off"

        program = self.start(change=change)
        # A client that names no device takes the default route of the lowest metric.
        self.assertEqual(self.default_routes(), ["v4-wan0", "v4-wwan0"])

        since = program.mark()
        os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
        program.wait_event("clat.ready", "wan0", since=since)
        self.assertEqual(program.find("clat.down"), [], "a restart in time")

        broken.touch()
        since = program.mark()
        at = time.monotonic()
        os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
        down = program.wait_event("clat.down", "wan0", since=since)
        self.assertIn("no clatd is ready", down["reason"])
        self.assertGreater(down.at - at, 1.9)
        self.assertLess(down.at - at, 2 + 0.5 * SLOW)
        wait_until(lambda: self.default_routes() == ["v4-wwan0"], 0.5 * SLOW, "the default route of wan0 goes")
        self.lab.router.run("ping", "-n", "-c", "1", "-W", "2", self.lab.direct_v4)

        broken.unlink()
        program.wait_event("clat.up", "wan0", since=since)
        wait_until(lambda: self.default_routes() == ["v4-wan0", "v4-wwan0"], 0.5 * SLOW, "and comes back")
        self.assertEqual(program.find("clat.down", "wwan0"), [])
        self.lab.router.run("ping", "-n", "-c", "1", "-W", "2", self.lab.direct_v4)
        program.stop()

    def default_routes(self) -> list[str]:
        """By metric, the lowest first."""
        routes = self.lab.router.ip_json("route", "show", "default")
        return [route["dev"] for route in sorted(routes, key=lambda each: each["metric"])]
