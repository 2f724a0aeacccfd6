"""Several tun queues: a descriptor and a thread for each, kept over a clatd's death and a supervisor's."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from harness.case import LabTest, every_interface
from harness.clatvisor import cmdline, open_fds
from harness.lab import WAN0, WWAN0
from harness.traffic import Bulk


class Queues(LabTest):
    uplinks = (WAN0, WWAN0)

    def numbers(self, uplink: str) -> int:
        """Of queues that somebody has open, as the kernel tells; 0 when the tun can have but one."""
        info = self.lab.router.ip_json("-d", "link", "show", f"v4-{uplink}")[0]["linkinfo"]["info_data"]
        return info.get("numqueues", 0) if info["multi_queue"] else 0

    def queues_of(self, clatd: int) -> list[int]:
        return sorted(fd for fd, target in open_fds(clatd).items() if target == "/dev/net/tun")

    def traffic_works(self, uplink=WAN0) -> None:
        client = self.lab.client(uplink)
        for _ in range(4):  # each flow has a queue of its own, by chance
            client.udp_echo(self.lab.server_v4)
            client.tcp_echo(self.lab.server_v4)

    def slow_path(self, queues: int):
        def change(config: dict) -> None:
            every_interface(fast_path="off")(config)
            config["interfaces"]["wan0"]["queues"] = queues

        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        return change

    def test_eight(self) -> None:
        program = self.start(change=self.slow_path(8))
        clatd = program.wait_clatd("wan0")
        self.assertEqual(self.queues_of(clatd), [3, 5, 6, 7, 8, 9, 10, 11])
        self.assertEqual(self.numbers("wan0"), 8)
        self.assertEqual(self.numbers("wwan0"), 0)
        self.assertGreaterEqual(len(os.listdir(f"/proc/{clatd}/task")), 8)
        self.traffic_works()
        program.stop()

    def test_all_fragments_of_an_echo_come_by_one(self) -> None:
        """The kernel chooses by addresses and protocol, so what the first fragment waits for reaches the same thread."""
        servers = [f"192.175.48.{host}" for host in range(100, 116)]
        for server in servers:
            self.lab.plat.ip(f"address add {WAN0.embed(server)}/128 dev lo nodad")
        program = self.start(change=self.slow_path(8))
        clatd = program.wait_clatd("wan0")
        before = self.wakings(clatd)
        for server in servers:
            self.assertEqual(self.lab.client(WAN0).ping(server, 2, size=4000), 2)
        busy = [now for now, then in zip(self.wakings(clatd), before) if now > then]
        self.assertGreaterEqual(len(busy), 3)
        program.stop()

    def wakings(self, clatd: int) -> list[int]:
        """Of each thread that has a queue."""
        tasks = sorted(set(os.listdir(f"/proc/{clatd}/task")) - {str(clatd)})
        statuses = (Path(f"/proc/{clatd}/task/{task}/status").read_text() for task in tasks)
        return [int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[1]) for status in statuses]

    def test_stay_when_clatd_dies(self) -> None:
        program = self.start(change=self.slow_path(4))
        bulk = Bulk(self.lab.client(WAN0), self.lab.server_v4)
        bulk.wait_bytes(1_000_000)
        since = program.mark()
        os.kill(program.wait_clatd("wan0"), signal.SIGKILL)
        program.wait_event("clat.ready", "wan0", since=since)
        self.assertEqual(self.numbers("wan0"), 4)
        bulk.wait_bytes(1_000_000)
        bulk.finish()
        self.traffic_works()
        program.stop()

    def test_another_number_makes_a_new_tun_of_that_interface_only(self) -> None:
        program = self.start(change=self.slow_path(1))
        neighbour = program.wait_clatd("wwan0")
        config = program.default_config()
        self.slow_path(3)(config)
        since = program.mark()
        program.reload(config)
        program.wait_up("wan0", since=since)
        self.assertEqual(self.numbers("wan0"), 3)
        self.assertEqual(program.wait_clatd("wwan0"), neighbour)
        self.traffic_works()
        self.slow_path(1)(config)
        since = program.mark()
        program.reload(config)
        program.wait_up("wan0", since=since)
        self.assertEqual(self.numbers("wan0"), 0)
        self.traffic_works()
        program.stop()

    def test_are_adopted(self) -> None:
        program = self.start(change=lambda config: every_interface(queues=2)(config))
        device = self.lab.router.ip_json("link", "show", "v4-wan0")[0]["ifindex"]
        os.kill(program.pid, signal.SIGKILL)
        program.wait_exit()
        since = program.mark()
        program.start()
        program.wait_event("supervisor.adopted", "wan0", since=since)
        program.wait_up(since=since)
        self.assertEqual(self.lab.router.ip_json("link", "show", "v4-wan0")[0]["ifindex"], device)
        self.assertEqual(self.numbers("wan0"), 2)
        self.traffic_works()
        program.stop()

    def test_are_handed_on_the_command_line(self) -> None:
        program = self.start(change=lambda config: every_interface(queues=2)(config))
        argv = cmdline(program.wait_clatd("wan0"))
        self.assertEqual(argv[argv.index("--queues") + 1], "2")
        self.assertIn("--allow-private-ipv4", argv)
        self.assertEqual(len([t for t in open_fds(program.pid).values() if t == "/dev/net/tun"]), 4)
        program.stop()
