"""What the fast path carries by itself: traffic with no process left alive, and every kind of packet as clatd makes it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from harness.case import LabTest
from harness.clatvisor import SLOW, cmdline
from harness.lab import WAN0, stop_process, wait_until
from harness.namespace import Namespace
from harness.traffic import Bulk, UdpStream


def tcp_counter(namespace: Namespace, name: str) -> int:
    with namespace.entered():
        for file in ("snmp", "netstat"):
            rows = [line.split() for line in Path(f"/proc/thread-self/net/{file}").read_text().splitlines()]
            for names, values in zip(rows[::2], rows[1::2]):
                if names[0].startswith("Tcp") and name in names:
                    return int(values[names.index(name)])
    raise AssertionError(f"no counter {name}")


class NobodyAlive(LabTest):
    """kill -9 of clatvisor and clatd under load; then a successor."""

    uplinks = (WAN0,)
    nat64 = False

    RATE = 10_000  # datagrams a second
    BULK = 25_000_000  # bytes a second each way

    def setUp(self) -> None:
        super().setUp()
        for servers in self.lab.servers:
            servers.pace(self.BULK)
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 0)

    def test_nothing_is_lost_and_the_next_start_adopts(self) -> None:
        program = self.start()
        client, host = self.lab.client(WAN0), self.lab.direct_v4
        first = program.find("clat.up", "wan0")[0]
        tun = self.lab.router.link_index("v4-wan0")
        transfers = [Bulk(client, host), Bulk(client, host, upload=True, rate=self.BULK)]
        stream, started = UdpStream(client, host, self.RATE), time.monotonic()
        pings = self.lab.router.popen(
            "ping", "-n", "-i", "0.05", "-I", "v4-wan0", host, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.addCleanup(stop_process, pings)
        self.carry(transfers, stream)
        before = self.lost_segments()

        self.kill_both()
        self.forget_neighbour(first["v6"])
        self.carry(transfers, stream)
        self.assertEqual(self.lost_segments(), before)
        self.assertEqual(self.alive(), [])

        since, begin = program.mark(), time.monotonic()
        program.start()
        adopted = program.wait_event("supervisor.adopted", "wan0", since=since)
        ready = program.wait_event("clat.ready", "wan0", since=since)
        self.assertLess(ready.at - begin, 1 * SLOW)
        self.assertEqual((adopted["tun"], adopted["v4"], adopted["v6"]), ("v4-wan0", first["v4"], first["v6"]))
        self.assertEqual(self.lab.router.link_index("v4-wan0"), tun)
        self.carry(transfers, stream)
        self.assertEqual(self.lost_segments(), before)
        for transfer in transfers:
            self.assertLess(transfer.finish(), 1 * SLOW)
        self.assertGreater(stream.sent, self.RATE * (time.monotonic() - started) * 0.9 / SLOW)
        sent, lost = stream.finish()
        self.assertEqual((lost, stream.send_errors), (0, 0), f"of {sent}")
        self.assertEqual(client.ping(host), 3)
        program.stop()

    def carry(self, transfers: list[Bulk], stream: UdpStream) -> None:
        """Two seconds' worth of load gets through."""
        received = stream.received + 2 * self.RATE
        for transfer in transfers:
            transfer.wait_bytes(self.BULK, timeout=30 * SLOW)
        wait_until(lambda: stream.received >= received, 30 * SLOW, f"{stream.received} of {received} datagrams", every=0.05)

    def lost_segments(self) -> int:
        """What both ends sent again, but for what had arrived the first time: a late acknowledgement is no loss."""
        ends = (self.lab.router, self.lab.plat)
        return sum(tcp_counter(end, "RetransSegs") - tcp_counter(end, "TCPDSACKRecv") for end in ends)

    def alive(self) -> list[str]:
        commands = (" ".join(cmdline(pid)) for pid in self.lab.router.pids())
        return [command for command in commands if "clatvisor" in command or command.startswith("clatd")]

    def kill_both(self) -> None:
        pids = [self.program.wait_clatd("wan0"), self.program.pid]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.program.kill()  # reaps it
        wait_until(lambda: not any(map(cmdline, pids)), 5 * SLOW, "both are gone")

    def forget_neighbour(self, address: str) -> None:
        """The peer resolves the CLAT address again, with nobody but the programs to answer."""
        plat = self.lab.plat
        plat.run("ip", "-6", "neigh", "del", address, "dev", WAN0.far)

        def resolved() -> bool:
            found = plat.ip_json("-6", "neigh", "show", "to", address, "dev", WAN0.far)
            return bool(found) and found[0]["state"] == ["REACHABLE"]

        wait_until(resolved, 10 * SLOW, f"{address} is resolved anew")
