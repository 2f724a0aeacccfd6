"""nftables' flowtables, OpenWrt's software flow offloading, over a tun of clatvisor: flows of a LAN pass the forward chain by.

Runs where the kernel has NF_FLOW_TABLE.
"""

from __future__ import annotations

import re
import socket

from harness.case import LabTest, every_interface
from harness.clatvisor import SLOW
from harness.lab import WAN0, wait_until
from harness.traffic import ECHO, Client

RULES = """
table inet fast {
  flowtable ft { hook ingress priority 0; devices = { lan0, wan0, v4-wan0 }; }
  chain forward {
    type filter hook forward priority 0;
    meta l4proto { tcp, udp } flow add @ft
    meta l4proto { tcp, udp } counter
  }
}
"""
TURNS = 100  # there and back
SEEN = 20  # packets of such a flow that the chain sees at most: until it is established, and its end


class Flowtable(LabTest):
    uplinks = (WAN0,)
    lan = True
    nat64 = False

    def forwarded(self) -> int:
        text = self.lab.router.run("nft", "list", "chain", "inet", "fast", "forward")
        return int(re.search(r"counter packets (\d+)", text)[1])

    def flows(self) -> list[str]:
        text = self.lab.router.run("cat", "/proc/thread-self/net/nf_conntrack")
        return [line for line in text.splitlines() if "[OFFLOAD]" in line]

    def seen_of(self, client: Client, kind: int) -> int:
        """Packets of a flow of many turns that the chain forwards."""
        before = self.forwarded()
        with client.socket(kind, 2 * SLOW) as sock:
            sock.connect((self.lab.direct_v4, ECHO))
            for number in range(TURNS):
                sock.send(b"%4d" % number)
                self.assertEqual(sock.recv(100), b"%4d" % number)
            self.assertTrue(self.flows())
        return self.forwarded() - before

    def check(self, fast_path: str) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        program = self.start(change=every_interface(fast_path=fast_path))
        client = Client(self.lab.lan)
        self.lab.router.run("nft", "-f", "-", input=RULES)
        # On the routed leg the IPv6 of the CLAT is forwarded, too, and offloaded as well.
        most = SEEN if fast_path == "required" else 2 * SEEN
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with self.subTest(kind):
                self.assertLess(self.seen_of(client, kind), most)
        client.tcp_echo(self.lab.direct_v4, 1_000_000, timeout=10 * SLOW)
        # A tun that is made anew is none of the flowtable's devices, until the firewall is loaded again.
        since = program.mark()
        program.stop()
        program.start()
        program.wait_up(since=since)
        wait_until(lambda: client.udp_works(self.lab.direct_v4, timeout=1), 10 * SLOW, "the LAN has IPv4 again")
        client.tcp_echo(self.lab.direct_v4, timeout=10 * SLOW)
        self.lab.router.run("nft", "flush", "ruleset")
        program.stop()

    def test_with_the_fast_path(self) -> None:
        self.check("required")

    def test_by_clatd(self) -> None:
        self.check("off")
