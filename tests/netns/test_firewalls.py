"""A LAN served behind the firewalls that routers have: fw4, firewalld, ufw, and Docker's rules, each imitated in firewalls/."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness import iptables_nft
from harness.case import EachVariant, every_interface
from harness.clatvisor import SLOW
from harness.lab import WAN0, wait_until
from harness.namespace import Namespace
from harness.traffic import ECHO, Client

FOLDER = Path(__file__).resolve().parent / "firewalls"


@dataclass(frozen=True)
class Firewall:
    file: str
    tables: tuple[str, ...]
    drops: str = ""  # the chain that drops what a LAN sends out by the CLAT, until the operator opened it
    mark: str = ""  # in the file, in the place of `closed`, or of `opened`
    closed: str = ""
    opened: str = ""
    masquerade: str = ""  # the chain of its own NAT, where it has one for the CLAT

    def load(self, router: Namespace, *, opened: bool) -> None:
        text = (FOLDER / self.file).read_text()
        if self.mark:
            text = text.replace(self.mark, self.opened if opened else self.closed)
        if self.file.endswith(".nft"):
            router.run("nft", "-f", "-", input=text)
            return
        have = router.run("nft", "list", "tables")
        for table in self.tables:
            if f"table {table}\n" in have:
                router.run("nft", "delete", "table", *table.split())
        iptables_nft.restore(router, text)


FIREWALLS = (
    Firewall("fw4.nft", ("inet fw4",), "inet fw4 forward", "@WAN@", '"wan0"', '{ "v4-wan0", "wan0" }', "inet fw4 srcnat_wan"),
    Firewall("firewalld.nft", ("inet firewalld",), "inet firewalld filter_FORWARD", "@EXTERNAL@", "wan0", "v4-wan0",
             "inet firewalld nat_POST_external_allow"),
    Firewall("ufw.rules", ("ip filter", "ip nat"), "ip filter FORWARD", "@OPEN@", "",
             "-A ufw-user-forward -i lan0 -o v4-wan0 -j ACCEPT", "ip nat POSTROUTING"),
    Firewall("docker.rules", ("ip filter", "ip nat"), "ip filter FORWARD", "@OPEN@", "",
             "-A DOCKER-USER -i lan0 -o v4-wan0 -j ACCEPT\n"
             "-A DOCKER-USER -i v4-wan0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Firewall("docker.nft", ("ip docker-bridges",)),
)  # fmt: skip


class EachFirewall(EachVariant):
    """Each test once behind each of them."""

    uplinks = (WAN0,)
    lan = True
    firewalls = FIREWALLS
    firewall: Firewall

    def variants(self) -> Iterable[dict[str, object]]:
        return [{"firewall": each} for each in self.firewalls]

    def __str__(self) -> str:
        return f"{super().__str__()} {self.firewall.file}"

    def setUp(self) -> None:
        super().setUp()
        # The lab serves its LAN by itself; here that is clatvisor's to do.
        self.lab.router.run("nft", "delete", "table", "ip", "lab_nat")
        self.client = Client(self.lab.lan)

    def load(self, *, opened: bool = True) -> None:
        self.firewall.load(self.lab.router, opened=opened)

    def serve(self) -> None:
        def change(config: dict) -> None:
            config["lan"] = {"masquerade": True, "clamp-mss": True, "forwarding": True}
            config["audit-interval"] = "100ms"

        self.start(change=change)
        wait_until(self.tables, 5 * SLOW, "the LAN is served")

    def rules(self) -> str:
        """All of them, with their handles, without counters."""
        return self.lab.router.run("nft", "--stateless", "--handle", "list", "ruleset")

    def tables(self) -> list[str]:
        """Ours, with their handles: one that is made again has another."""
        return re.findall(r"table inet clatvisor_lan_\d+ \{ # handle \d+", self.rules())

    def reaches_by_udp(self) -> bool:
        return self.client.udp_works(self.lab.server_v4, timeout=1)

    def reaches_by_tcp(self) -> bool:
        with self.client.socket(socket.SOCK_STREAM, 1) as sock:
            return sock.connect_ex((self.lab.server_v4, ECHO)) == 0

    def assert_served(self) -> None:
        self.assertEqual(self.client.ping(self.lab.server_v4), 3)
        self.client.udp_echo(self.lab.server_v4)
        self.client.tcp_echo(self.lab.server_v4)
        with self.client.socket(socket.SOCK_STREAM) as sock:
            sock.connect((self.lab.server_v4, ECHO))
            mtu = self.lab.router.ip_json("link", "show", WAN0.tun)[0]["mtu"]
            self.assertLessEqual(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), mtu - 40)

    def translated_by(self, table: str, chain: str) -> int:
        """Packets that a rule of this chain gave another source: the first of each flow."""
        text = self.lab.router.run("nft", "list", "chain", *table.split(), chain)
        return sum(int(number) for number in re.findall(r"counter packets (\d+)", text))


class Open(EachFirewall):
    def test_a_life(self) -> None:
        self.load()
        before, whole = self.rules(), self.snapshot()
        self.serve()
        self.assert_served()
        self.assertEqual(self.program.find("clat.blocked"), [])
        self.program.stop()
        self.assertEqual(self.rules(), before)
        self.assert_unchanged(whole, "after a stop")

    def test_loads_its_rules_anew(self) -> None:
        self.load()
        self.serve()
        ours = self.tables()
        self.load()
        self.assertEqual(self.tables(), ours, "it does not touch what is not its own")
        self.assert_served()
        for _ in range(2):  # as nftables.service does
            self.lab.router.run("nft", "flush", "ruleset")
            self.load()
            wait_until(self.tables, 5 * SLOW, "our rules are back")
        self.assert_served()
        self.assertEqual(self.program.find("clat.down"), [])
        self.assertEqual(self.program.find("clat.blocked"), [])
        theirs = re.sub(r"table inet clatvisor_lan_\d+ \{.*?\n\}\n", "", self.rules(), flags=re.DOTALL)
        self.program.stop()
        self.assertEqual(self.rules(), theirs)


class WithNat(EachFirewall):
    firewalls = tuple(each for each in FIREWALLS if each.masquerade)

    def test_its_own_nat_comes_first(self) -> None:
        """Whichever was there first; and what one has translated the other leaves alone."""
        table, chain = self.firewall.masquerade.rsplit(" ", 1)
        clat = "192.0.0.4"
        self.load()
        self.serve()
        for order in ("loaded before", "loaded after"):
            with self.subTest(order):
                if order == "loaded after":
                    self.load()
                already = self.translated_by(table, chain)
                with self.client.socket(socket.SOCK_DGRAM) as sock:
                    sock.connect((self.lab.server_v4, ECHO))
                    sock.send(b"once")
                    self.assertEqual(sock.recv(16), b"once")
                    port = sock.getsockname()[1]
                self.assertEqual(self.translated_by(table, chain), already + 1)
                flows = self.lab.router.run("cat", "/proc/thread-self/net/nf_conntrack").splitlines()
                (flow,) = (line for line in flows if f" sport={port} dport={ECHO} " in line and f"src={self.lab.lan_host} " in line)
                self.assertRegex(flow, rf"src={self.lab.server_v4} dst={clat} sport={ECHO} ")
        self.program.stop()


class Closed(EachFirewall):
    firewalls = tuple(each for each in FIREWALLS if each.drops)

    def test_names_the_chain_that_drops(self) -> None:
        self.load(opened=False)
        self.serve()
        self.assertEqual(self.program.wait_event("clat.blocked", "wan0")["chain"], self.firewall.drops)
        self.assertFalse(self.reaches_by_udp() or self.reaches_by_tcp())
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        self.load(opened=True)
        self.assert_served()
        self.load(opened=False)
        wait_until(lambda: len(self.program.find("clat.blocked")) == 2, 5 * SLOW, "it drops again")
        self.program.stop()


class RoutedLeg(EachFirewall):
    """Where clatd alone translates, IPv6 is forwarded between the tun and the uplink."""

    firewalls = tuple(each for each in FIREWALLS if each.drops.startswith("inet "))

    def test_names_the_chain_that_drops(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.load(opened=False)
        program = self.start(up=False, change=every_interface(fast_path="off"))
        self.assertEqual(program.wait_event("clat.blocked", "wan0")["chain"], self.firewall.drops)
        program.wait_event("clat.ready", "wan0")
        self.assertEqual(program.find("clat.up"), [])
        program.stop()
