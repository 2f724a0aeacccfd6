"""Whatever happens to host, uplinks and clatvisor itself: when all is as it should be again, IPv4 soon is, too."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from harness import snapshot
from harness.case import ROUNDS, LabTest
from harness.clatvisor import SLOW, Clatvisor, children_of
from harness.lab import Uplink, wait_until
from harness.namespace import CommandFailed, Namespace

# From the moment when all is well: an audit comes every 5 s, and finds what nobody tells of.
PATIENCE = 7
HOST_SYSCTLS = ("net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/disable_ipv6", "net/ipv4/conf/all/rp_filter")
UPLINK_SYSCTLS = ("net/ipv6/conf/{}/disable_ipv6", "net/ipv4/conf/{}/rp_filter", "net/ipv6/conf/{}/addr_gen_mode")
TUN_SYSCTLS = (*UPLINK_SYSCTLS, "net/ipv6/conf/{}/forwarding")


class Blows(LabTest):
    """The legs differ from round to round."""

    nat64 = False
    bpf = True

    def setUp(self) -> None:
        super().setUp()
        self.router, self.elsewhere = self.lab.router, self.lab.server
        self.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.sysctls = {key: self.router.sysctl(key) for key in HOST_SYSCTLS}
        self.program = Clatvisor(self.lab)
        self.before = self.names_only(self.snapshot())
        self.running = self.stopped = False
        self.did: list[str] = []
        self.missing = ""

    def check_that_it_comes_back(self, share: float) -> None:
        """`share`: of the minute that all of these have together."""
        wanted = os.environ.get("CLATVISOR_SEED")
        seeds = [int(seed) for seed in wanted.split(",")] if wanted else None
        seconds = 3600 if ROUNDS >= 10 else max(15, 60 * ROUNDS)
        end = time.monotonic() + seconds * share
        number = 0
        self.canonical = self.config(random.Random(seeds[0] if seeds else 0))
        self.begin()
        while number < len(seeds) if seeds else time.monotonic() < end:
            seed = seeds[number] if seeds else int.from_bytes(os.urandom(4))
            number += 1
            self.round(number, seed)
        print(f"rounds: {number} of up to eight blows at once ({type(self).__name__})", flush=True)
        self.end()

    def round(self, number: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.did = []
        config = self.canonical
        if self.dice.random() < 0.5:
            self.canonical = self.config(self.dice)
        self.to_reload, self.broken = self.canonical != config, False
        began = time.monotonic()
        try:
            for _ in range(self.dice.randint(1, 8)):
                operation = self.dice.choices(*zip(*self.operations()))[0]
                uplink = self.dice.choice(self.uplinks)
                self.did.append(f"{operation.__name__} {uplink.name}")
                operation(uplink)
                if self.dice.random() < 0.5:  # in a quick succession, or seen one by one
                    time.sleep(self.dice.choice((0.002, 0.02, 0.1, 0.4)))
            self.restore()
            restored = time.monotonic()
            wait_until(self.works, PATIENCE * SLOW, "IPv4 on both uplinks", every=0.02)
            print(f"round {number} CLATVISOR_SEED={seed}: {', '.join(self.did)}: {restored - began:.1f} s, IPv4 after {time.monotonic() - restored:.1f} s", flush=True)
            if self.dice.random() < 0.2:
                self.end()
                self.begin()
        except (AssertionError, OSError) as failed:
            raise AssertionError(f"round {number}, CLATVISOR_SEED={seed}: {', '.join(self.did)}: {failed} ({self.missing})\n{self.state()}\n{self.program.tail(200)}") from failed

    # The canonical state

    def config(self, dice: random.Random) -> dict:
        config = self.program.default_config()
        for number, interface in enumerate(config["interfaces"].values()):
            interface["fast-path"] = dice.choice(("auto", "off"))
            interface["default-route"] = {"metric": 3000 + number}
        if not self.bpf:
            config["bpf-dir"] = self.lab.scratch / "no-bpffs"
        return config | {"clatd": {"restart": {"initial": "10ms", "max": "500ms"}}}

    def begin(self) -> None:
        self.program.write_config(self.canonical)
        self.start_it()
        self.program.wait_up(since=self.since)

    def start_it(self) -> None:
        self.since = self.program.mark()
        self.program.start()
        self.running = True
        _ = self.program.pid  # it has begun

    def takes_signals(self) -> bool:
        """Before that they would end it."""
        return self.running and bool(self.program.find("supervisor.started", since=self.since))

    def end(self) -> None:
        self.program.stop(timeout=15)
        self.running = False
        last: list[str] = []

        def as_before() -> bool:
            last[:] = snapshot.differences(self.before, self.names_only(self.snapshot()))
            return not last

        try:
            wait_until(as_before, 3 * SLOW, "nothing is left", every=0.05)
        except AssertionError:
            raise AssertionError("left after a stop:\n" + "\n".join(last)) from None
        left = [file.name for file in self.program.state_dir.iterdir() if file.name != "lock"]
        self.assertEqual(left, [], "left in the state directory")
        self.assertEqual(self.elsewhere.ip_json("link", "show", "type", "tun"), [], "left in another namespace")

    @staticmethod
    def names_only(shot: dict[str, object]) -> dict[str, object]:
        """Without the numbers of interfaces, which change."""
        for link in shot["links"].values():
            del link["ifindex"]
        shot["addresses"] = sorted(re.sub(r"^\d+: ", "", line) for line in shot["addresses"])
        shot["anycast"] = sorted(re.sub(r"^\d+ +", "", line) for line in shot["anycast"])
        return shot

    def works(self) -> bool:
        """A clatd runs, too, and is confined: it may be the data path, or what is left for it must not wait for long."""
        self.assert_alive()
        tuns = sorted(link["ifname"] for link in self.router.ip_json("link", "show", "type", "tun"))
        self.missing = f"tuns: {tuns}"
        return tuns == sorted(uplink.tun for uplink in self.uplinks) and all(map(self.uplink_works, self.uplinks))

    def uplink_works(self, uplink: Uplink) -> bool:
        for what, there in {
            "a clatd": lambda: self.program.clatd_pid(uplink.name), "a filter": lambda: self.is_confined(uplink.tun),
            "IPv4": lambda: self.lab.client(uplink).udp_works(self.lab.direct_v4),
        }.items():  # fmt: skip
            if not there():
                self.missing = f"{what} on {uplink.name}"
                return False
        return True

    def is_confined(self, tun: str) -> bool:
        if self.bpf:
            return len(snapshot.tcx(self.router, tun).get("ingress", ())) == 1
        return f"clatvisor_{self.router.link_index(tun)}\n" in self.router.run("nft", "list", "tables")

    def assert_alive(self) -> None:
        code = self.program.process.poll() if self.running else None
        self.assertIsNone(code, f"clatvisor ended by itself: {code}")

    def state(self) -> str:
        show = ("ip -d link", "ip address", "ip -4 route show table all", "ip -6 route show table all", "ip -6 neigh show proxy", "nft list ruleset")
        text = [f"$ {line}\n{self.router.run(*line.split(), check=False)}" for line in show]
        return "\n".join([*text, "pins: " + " ".join(snapshot.files_below(self.lab.bpffs))])

    def restore(self) -> None:
        for key, value in self.sysctls.items():
            self.router.sysctl(key, value)
        for uplink in self.uplinks:
            self.bring_home(uplink)
        for uplink in self.uplinks:
            self.restore_link(uplink)
        self.go_on()
        self.assert_alive()
        for child in children_of(self.program.process.pid):  # a clatd that stands still is replaced, but only after 5 to 10 s
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
        self.program.write_config(self.canonical)
        if not self.running:
            self.start_it()
        elif self.to_reload:
            self.program.wait_event("supervisor.started", since=self.since)
            self.program.send_signal(signal.SIGHUP)

    def whereabouts(self, uplink: Uplink) -> tuple[Namespace, str] | None:
        """The link that has its hardware address, under whatever name."""
        for namespace in (self.router, self.elsewhere):
            for link in namespace.ip_json("-d", "link", "show", "type", "veth"):
                if link["address"] == uplink.lladdr:
                    return namespace, link["ifname"]
        return None

    def bring_home(self, uplink: Uplink) -> None:
        """Back in its namespace, under a name that is in nobody's way."""
        found = self.whereabouts(uplink)
        if found is None:
            return
        namespace, name = found
        if namespace is self.router and name == uplink.name:
            return
        aside = f"back-{uplink.name}"
        namespace.ip(f"link set {name} down")
        if name != aside:
            namespace.ip(f"link set {name} name {aside}")
        if namespace is not self.router:
            namespace.ip(f"link set {aside} netns {self.router.name}")

    def restore_link(self, uplink: Uplink) -> None:
        found = self.whereabouts(uplink)
        if found is None:
            return self.lab.make_link(uplink)
        name = found[1]
        if name != uplink.name:
            self.router.ip(f"link set {name} name {uplink.name}")
        self.router.ip(f"link set {uplink.name} mtu 1500")
        for key in ("net/ipv6/conf/{}/accept_ra", "net/ipv6/conf/{}/accept_dad", "net/ipv6/conf/{}/disable_ipv6", "net/ipv4/conf/{}/rp_filter"):
            key = key.format(uplink.name)
            self.router.sysctl(key, self.before["sysctls"][key.removeprefix("net/")])
        self.router.ip(f"link set {uplink.name} up")
        self.lab.plat.sysctl(f"net/ipv6/conf/{uplink.far}/accept_dad", 0)
        self.lab.plat.ip(f"link set {uplink.far} mtu 1500 up", f"address replace {uplink.gateway}/64 dev {uplink.far} nodad")
        if self.router.sysctl(f"net/ipv6/conf/{uplink.name}/addr_gen_mode") != "0":
            self.router.ip(f"link set {uplink.name} addrgenmode eui64")
        if not self.has_link_local(uplink):
            self.router.ip(f"link set {uplink.name} down", f"link set {uplink.name} up")
        for address in self.global_addresses(uplink):
            if address != f"{uplink.router}/64":
                self.router.run("ip", "address", "del", address, "dev", uplink.name, check=False)
        self.router.ip(f"address replace {uplink.router}/64 dev {uplink.name} nodad valid_lft forever preferred_lft forever")
        self.lab.add_routes(uplink)

    def has_link_local(self, uplink: Uplink) -> bool:
        show = (("address", "show", "dev", uplink.name, "scope", "link"), ("route", "show", "fe80::/64", "dev", uplink.name))
        return all("fe80:" in self.router.run("ip", "-6", *each) for each in show)

    def global_addresses(self, uplink: Uplink) -> list[str]:
        links = self.router.ip_json("-6", "address", "show", "dev", uplink.name, "scope", "global")
        return [f"{each['local']}/{each['prefixlen']}" for link in links for each in link.get("addr_info", []) if each]

    def go_on(self) -> None:
        if self.stopped:
            os.kill(self.program.pid, signal.SIGCONT)
            self.stopped = False

    # What happens. Each may find that nothing is there to do it to.

    def operations(self) -> list[tuple[Callable[[Uplink], None], int]]:
        return [
            (self.rename, 2), (self.swap_names, 1), (self.create_again, 2), (self.swap_numbers, 1), (self.move_away, 2),
            (self.deprecate, 2), (self.other_prefix, 3), (self.lose_addresses, 1), (self.lose_routes, 1), (self.lose_carrier, 2),
            (self.flap, 1), (self.change_mtu, 3), (self.take_away, 8), (self.change_sysctl, 4), (self.stand_still, 2),
            (self.kill_all, 2), (self.kill_clatd, 2), (self.hand_over, 2), (self.stop_and_start, 1), (self.reload, 3),
        ]  # fmt: skip

    def ip(self, *lines: str) -> None:
        for line in lines:
            self.router.run("ip", *line.split(), check=False)

    def note(self, what: object) -> None:
        self.did[-1] += f" ({what})"

    def rename(self, uplink: Uplink) -> None:
        self.ip(f"link set {uplink.name} down", f"link set {uplink.name} name other-{uplink.name}", f"link set other-{uplink.name} up")

    def swap_names(self, _uplink: Uplink) -> None:
        one, other = (uplink.name for uplink in self.uplinks)
        self.ip(f"link set {one} down", f"link set {other} down", f"link set {one} name aside0", f"link set {other} name {one}",
                f"link set aside0 name {other}", f"link set {one} up", f"link set {other} up")  # fmt: skip

    def create_again(self, uplink: Uplink) -> None:
        index = self.router.link_index(uplink.name)
        same = self.dice.random() < 0.7
        self.note("same number" if same else "new number")
        if self.whereabouts(uplink) == (self.router, uplink.name):
            self.lab.delete_link(uplink)
            self.make_link(uplink, index if same else None)

    def make_link(self, uplink: Uplink, index: int | None) -> None:
        with contextlib.suppress(CommandFailed, OSError):  # new links may be without IPv6
            self.lab.make_link(uplink, index=index)

    def swap_numbers(self, _uplink: Uplink) -> None:
        if any(self.whereabouts(uplink) != (self.router, uplink.name) for uplink in self.uplinks):
            return
        numbers = [self.router.link_index(uplink.name) for uplink in self.uplinks]
        for uplink in self.uplinks:
            self.lab.delete_link(uplink)
        for uplink, number in zip(self.uplinks, reversed(numbers)):
            self.make_link(uplink, number)

    def move_away(self, uplink: Uplink) -> None:
        self.ip(f"link set {uplink.name} netns {self.elsewhere.name}")
        if self.dice.random() < 0.5:
            self.note("and back")
            self.bring_home(uplink)
            if self.whereabouts(uplink) and self.router.link_index(uplink.name) is None:
                self.restore_link(uplink)

    def deprecate(self, uplink: Uplink) -> None:
        self.ip(f"address change {uplink.router}/64 dev {uplink.name} preferred_lft 0 valid_lft 600")

    def other_prefix(self, uplink: Uplink) -> None:
        prefix = self.dice.choice(("fd00:1:2", "2001:db8:ff", "2001:db8:fe")) + f":{self.dice.randrange(1, 999)}"
        self.note(prefix)
        lines = [f"address add {prefix}::2/64 dev {uplink.name} nodad"]
        if self.dice.random() < 0.5:
            lines.append(f"address del {uplink.router}/64 dev {uplink.name}")
        self.dice.shuffle(lines)
        self.ip(*lines)

    def lose_addresses(self, uplink: Uplink) -> None:
        self.ip(f"address flush dev {uplink.name}")

    def lose_routes(self, uplink: Uplink) -> None:
        self.ip(f"-6 route flush dev {uplink.name}")

    def lose_carrier(self, uplink: Uplink) -> None:
        self.lab.plat.run("ip", "link", "set", uplink.far, "down", check=False)

    def flap(self, uplink: Uplink) -> None:
        self.ip(f"link set {uplink.name} down", f"link set {uplink.name} up")

    def change_mtu(self, uplink: Uplink) -> None:
        mtu = self.dice.choice((1200, 1280, 1281, 1492, 9000, self.dice.randrange(1200, 9001)))
        self.note(mtu)
        self.ip(f"link set {uplink.name} mtu {mtu}")

    def change_sysctl(self, uplink: Uplink) -> None:
        name, keys = self.dice.choice(((uplink.name, UPLINK_SYSCTLS), (uplink.tun, TUN_SYSCTLS), ("all", HOST_SYSCTLS)))
        key, value = self.dice.choice(keys).format(name), self.dice.choice((0, 1, 2))
        self.note(f"{key}={value}")
        with contextlib.suppress(OSError):
            self.router.sysctl(key, value)

    def stand_still(self, _uplink: Uplink) -> None:
        """It sees all that follows at once, when all is well again, or some of it."""
        if self.stopped:
            self.note("goes on")
            return self.go_on()
        if self.running:
            os.kill(self.program.pid, signal.SIGSTOP)
            self.stopped = True

    def kill_all(self, _uplink: Uplink) -> None:
        if not self.running:
            return
        self.assert_alive()
        for pid in (self.program.process.pid, *children_of(self.program.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.running = self.stopped = False
        self.program.wait_exit()
        # It may not have seen yet that its tun was moved to where no successor looks.
        for link in self.elsewhere.ip_json("link", "show", "type", "tun"):
            self.elsewhere.run("ip", "link", "del", link["ifname"], check=False)
        self.start_perhaps()

    def start_perhaps(self) -> None:
        if self.dice.random() < 0.6:
            self.note("and started")
            if self.broken:
                self.program.write_config(self.canonical)
            self.start_it()

    def kill_clatd(self, uplink: Uplink) -> None:
        if self.running and (pid := self.program.clatd_pid(uplink.name)):
            number = self.dice.choice((signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM))
            self.note(number.name)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def leave(self, number: signal.Signals) -> None:
        if self.takes_signals():
            self.go_on()
            self.program.send_signal(number)
            self.assertEqual(self.program.wait_exit(15), 0, f"after {number.name}; {self.program.garbage}")
            self.running = False
            self.start_perhaps()

    def hand_over(self, _uplink: Uplink) -> None:
        self.leave(signal.SIGUSR2)

    def stop_and_start(self, _uplink: Uplink) -> None:
        self.leave(signal.SIGTERM)

    def reload(self, uplink: Uplink) -> None:
        config = self.config(self.dice)
        mine = config["interfaces"][uplink.name]
        change = self.dice.choice(("leg", "removed", "mtu", "address", "tun", "queues", "route", "broken"))
        self.note(change)
        if change == "removed":
            del config["interfaces"][uplink.name]
        else:
            mine |= {
                "mtu": {"mtu": self.dice.randrange(1280, 1500)}, "address": {"ipv6-address": f"{uplink.net}c1a7"}, "tun": {"tun": f"clat-{uplink.name}"},
                "queues": {"queues": 2}, "route": {"default-route": False},
            }.get(change, {})  # fmt: skip
        self.broken = change == "broken"
        self.program.write_config("interfaces: [" if self.broken else config)
        self.to_reload = True
        if self.takes_signals():
            self.program.send_signal(signal.SIGHUP)

    def take_away(self, uplink: Uplink) -> None:
        """Of what is ours."""
        tun, router = uplink.tun, self.router
        index = router.link_index(tun)
        hands: dict[str, Callable[[], object]] = {
            "tun": lambda: self.ip(f"link del {tun}"),
            "tun down": lambda: self.ip(f"link set {tun} down"),
            "tun renamed": lambda: self.ip(f"link set {tun} down", f"link set {tun} name mine-{uplink.name}"),
            "tun moved": lambda: self.move_tun(uplink),
            "tun's alias": lambda: self.mark_otherwise(uplink),
            "tun's MTU": lambda: self.ip(f"link set {tun} mtu {self.dice.choice((68, 1300, 9000))}"),
            "IPv4 address": lambda: self.ip(f"-4 address flush dev {tun}"),
            "IPv4 routes": lambda: self.ip(f"-4 route flush dev {tun}"),
            "IPv6 routes": lambda: self.ip(f"-6 route flush dev {tun}"),
            "blackholes": lambda: self.ip("-6 route flush type blackhole"),
            "proxy entries": lambda: self.ip("-6 neigh flush proxy"),
            "proxy_ndp": lambda: router.sysctl("net/ipv6/conf/all/proxy_ndp", 0),
            "ruleset": lambda: router.run("nft", "flush ruleset"),
            "table": lambda: router.run("nft", f"delete table inet clatvisor_{index}", check=False),
            "rules": lambda: router.run("nft", f"flush chain inet clatvisor_{index} clatd", check=False),
            "qdisc": lambda: router.run("tc", "qdisc", "del", "dev", self.dice.choice((tun, uplink.name)), "clsact", check=False),
            "a pin": self.unlink_pin,
            "all pins": lambda: [file.unlink() for file in self.pins()],
            "a link": self.detach_link,
            "a record": self.unlink_record,
        }
        hand = self.dice.choice(list(hands))
        self.note(hand)
        hands[hand]()

    def mark_otherwise(self, uplink: Uplink) -> None:
        """Where there is a record, for the same reason."""
        if (self.program.state_dir / f"{uplink.name}.record").exists():
            self.ip(f"link set {uplink.tun} alias mine")

    def move_tun(self, uplink: Uplink) -> None:
        """While somebody holds it: else nobody would find it again, where no successor looks."""
        if self.takes_signals() and not self.stopped and self.program.clatd_pid(uplink.name):
            self.ip(f"link set {uplink.tun} netns {self.elsewhere.name}")

    def pins(self) -> list[Path]:
        return sorted(path for path in self.program.bpf_dir.rglob("*") if path.is_file())

    def unlink_pin(self) -> None:
        if pins := self.pins():
            self.dice.choice(pins).unlink()

    def detach_link(self) -> None:
        if links := [pin for pin in self.pins() if pin.name.startswith("link-")]:
            subprocess.run(["bpftool", "link", "detach", "pinned", self.dice.choice(links)], check=False, capture_output=True)

    def unlink_record(self) -> None:
        """Where the tun bears its mark: without either, a successor cannot tell it from a stranger's."""
        if self.program.state_dir.exists():
            files = sorted(self.program.state_dir.glob("*.record"))
            if files := [file for file in files if not self.is_marked_otherwise(f"v4-{file.stem}")]:
                self.dice.choice(files).unlink()

    def is_marked_otherwise(self, tun: str) -> bool:
        return any(link.get("ifalias") == "mine" for link in self.router.ip_json("link", "show", "type", "tun") if link["ifname"] == tun)


class Converge(Blows):
    def test_comes_back(self) -> None:
        self.check_that_it_comes_back(2 / 3)


class ConvergeByNftables(Blows):
    """Where there is no BPF: nftables confines clatd, and every uplink takes the routed leg."""

    bpf = False

    def test_comes_back(self) -> None:
        self.check_that_it_comes_back(1 / 3)
