"""Duplicate address detection for the CLAT's own address, against a neighbour that wants it or has it."""

from __future__ import annotations

import signal
import statistics
import threading
import time

from harness.case import BothPaths, every_interface
from harness.clatvisor import SLOW, Clatvisor
from harness.lab import WAN0, wait_until
from harness.neighbour import Neighbour, advertisement, probe, probe_in
from harness.packet import packed
from harness.tap import ETH_P_IPV6, incoming


class Duplicates(BothPaths):
    uplinks = (WAN0,)
    nat64 = False

    def setUp(self) -> None:
        super().setUp()
        self.heard = incoming(self.lab.plat, WAN0.far, ETH_P_IPV6)
        self.addCleanup(self.heard.__exit__)
        self.neighbour = Neighbour(self.lab.plat, WAN0.far)
        self.addCleanup(self.neighbour.close)

    def probes(self, target: str) -> list[bytes]:
        return self.heard.find(lambda packet: (probe_in(packet) or ("", b""))[0] == target)

    def wait_probe(self, target: str) -> tuple[str, bytes]:
        packet = self.heard.wait(lambda packet: (probe_in(packet) or ("", b""))[0] == target, "it is asked for")[0]
        return probe_in(packet)

    def is_said_of(self, target: str, packet: bytes) -> bool:
        """To everybody."""
        to_all = packet[6] == 58 and packet[24:40] == packed("ff02::1")
        return to_all and packet[40] == 136 and packet[48:64] == packed(target)

    def wait_owned(self, target: str, times: int = 3) -> None:
        """Nobody has objected, and all that is advertised is."""
        self.heard.wait(lambda packet: self.is_said_of(target, packet) and packet[44] == 0x20, "it is advertised", count=times)

    def start_up(self, **options) -> tuple[Clatvisor, str]:
        program = self.start(**options)
        return program, program.find("clat.up", "wan0")[-1]["v6"]

    def works(self) -> bool:
        return self.lab.client(WAN0).udp_works(self.lab.direct_v4)

    def test_asks_once_and_a_successor_not_again(self) -> None:
        program, v6 = self.start_up()
        self.assertTrue(self.works(), "at once")
        self.wait_owned(v6)
        for end in (signal.SIGKILL, signal.SIGUSR2):
            since = program.mark()
            program.send_signal(end)
            program.wait_exit()
            program.start()
            program.wait_event("supervisor.adopted", "wan0", since=since)
            self.assertEqual(program.wait_event("clat.up", "wan0", since=since)["v6"], v6)
        self.wait_owned(v6, 3 + 1 + 3)  # the one in the middle did not live so long
        self.assertEqual(len(self.probes(v6)), 1)
        self.assertEqual(program.find("address.conflict"), [])
        program.stop()

    def test_another_is_taken_when_a_neighbour_has_it(self) -> None:
        program, v6 = self.start_up()
        self.wait_probe(v6)
        self.expect_move(program, v6, lambda: self.neighbour.claim(v6))
        program.stop()

    def test_also_when_it_was_ours_for_long(self) -> None:
        program, v6 = self.start_up()
        self.wait_owned(v6)
        self.expect_move(program, v6, lambda: self.neighbour.claim(v6))
        program.stop()

    def test_two_that_want_it_both_give_way(self) -> None:
        program, v6 = self.start_up()
        self.wait_probe(v6)
        self.expect_move(program, v6, lambda: self.neighbour.send(probe(v6, b"stolen")))
        program.stop()

    def expect_move(self, program: Clatvisor, v6: str, cause) -> None:
        since = program.mark()
        cause()
        conflict = program.wait_event("address.conflict", "wan0", since=since)
        self.assertEqual((conflict["v6"], conflict["mac"], conflict["reason_code"]), (v6, self.neighbour.mac, "address-conflict"))
        other = program.wait_event("clat.up", "wan0", since=since)["v6"]
        self.assertNotEqual(other, v6)
        wait_until(self.works, 2 * SLOW, "IPv4 goes by the other address")
        self.wait_probe(other)

    def test_who_wants_what_is_ours_gets_an_answer(self) -> None:
        program, v6 = self.start_up()
        self.wait_owned(v6)
        self.neighbour.send(probe(v6, b"stolen"))
        # By the program, which speaks for itself, or by the kernel's proxy, which does not override.
        defends = lambda packet: packet[8:24] == packed(v6) or packet[44] == 0  # noqa: E731
        self.heard.wait(lambda packet: self.is_said_of(v6, packet) and defends(packet), "it is defended")
        self.assertTrue(self.works())
        self.assertEqual(program.find("address.conflict"), [])
        program.stop()

    def test_our_own_words_come_back(self) -> None:
        program, v6 = self.start_up()
        _, nonce = self.wait_probe(v6)
        self.neighbour.send(probe(v6, nonce))
        self.neighbour.send(advertisement(v6, WAN0.lladdr))
        self.neighbour.send(advertisement(v6, None), mac=WAN0.lladdr)
        self.neighbour.send(advertisement(v6, self.neighbour.mac, hop_limit=254))
        self.wait_owned(v6)
        self.assertEqual(program.find("address.conflict"), [])
        self.assertTrue(self.works())
        program.stop()

    def test_a_fixed_address_is_kept_and_reported_once(self) -> None:
        """The neighbour is a kernel, which answers the probe."""
        fixed = f"{WAN0.net}c1a7"
        self.lab.plat.ip(f"address add {fixed}/64 dev {WAN0.far} nodad")
        program = self.start(change=every_interface(ipv6_address=f'"{fixed}"'))
        conflict = program.wait_event("address.conflict", "wan0")
        far = self.lab.plat.ip_json("link", "show", WAN0.far)[0]["address"]
        self.assertEqual((conflict["v6"], conflict["mac"]), (fixed, far))
        self.assertIn("kept", conflict["next"])
        for _ in range(10):
            self.neighbour.claim(fixed)
        since = program.mark()
        program.reload()
        program.wait_event("address.conflict", "wan0", since=since)
        self.assertEqual(len(program.find("address.conflict")), 2, "once, and once more after a reload")
        self.assertEqual({event["v6"] for event in program.find("clat.up", "wan0")}, {fixed})
        program.stop()

    def test_a_storm(self) -> None:
        program, v6 = self.start_up()
        self.wait_owned(v6)
        quiet = statistics.median(self.dump_time(program) for _ in range(20))
        since = program.mark()
        packet = advertisement(v6, self.neighbour.mac)
        frames = 0
        done = threading.Event()

        def flood() -> None:
            nonlocal frames
            begin = time.monotonic()
            while not done.is_set():
                self.neighbour.send(packet)
                frames += 1
                if frames % 100 == 0:
                    time.sleep(max(0.0, begin + frames / 10_000 - time.monotonic()))

        sender = threading.Thread(target=flood)
        sender.start()
        try:
            moved = program.wait_event("clat.up", "wan0", since=since)["v6"]
            packet = advertisement(moved, self.neighbour.mac)
            times = []
            while frames < 30_000:
                times.append(self.dump_time(program))
                time.sleep(0.05)  # the log has a limit of its own
            program.wait_event("neighbour.flood", "wan0", since=since)
            wait_until(self.works, 2 * SLOW, "IPv4 works all the while")
        finally:
            done.set()
            sender.join()
        busy = statistics.median(times)
        print(f"{frames} advertisements; a dump takes {1000 * quiet:.1f} ms, in the storm {1000 * busy:.1f} ms, at most {1000 * max(times):.1f}")
        self.assertLess(busy, quiet + 0.005 * SLOW)
        names = [event.name for event in program.events[since:] if event.name not in ("health", "state.dump")]
        self.assertLessEqual(names.count("address.conflict"), 3)
        self.assertEqual(names.count("neighbour.flood"), 1)
        self.assertLess(len(names), 60, names)
        program.stop()

    def dump_time(self, program: Clatvisor) -> float:
        since = program.mark()
        begin = time.monotonic()
        program.send_signal(signal.SIGUSR1)
        return program.wait_event("state.dump", since=since).at - begin
