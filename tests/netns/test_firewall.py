"""A firewall of the host that drops what a CLAT needs to be forwarded: told, and no clat.up while it stands."""

from __future__ import annotations

from harness.case import LabTest, every_interface
from harness.clatvisor import Clatvisor
from harness.lab import WAN0

POLICY_DROP = "table ip6 filter {{ chain FORWARD {{ type filter hook forward priority 0; policy {}; }}; }}"


class Forward(LabTest):
    uplinks = (WAN0,)

    def nft(self, rules: str) -> None:
        self.lab.router.run("nft", "-f", "-", input=rules)

    def start_routed(self, *, up: bool) -> Clatvisor:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)

        def change(config: dict) -> None:
            every_interface(fast_path="off")(config)
            config["audit-interval"] = "50ms"

        return self.start(up=up, change=change)

    def works(self) -> bool:
        return self.lab.client(WAN0).udp_works(self.lab.server_v4, timeout=1)

    def test_that_drops_from_the_start(self) -> None:
        self.nft(POLICY_DROP.format("drop"))
        program = self.start_routed(up=False)
        blocked = program.wait_event("clat.blocked", "wan0")
        self.assertEqual(blocked["chain"], "ip6 filter FORWARD")
        program.wait_event("clat.ready", "wan0")
        self.assertFalse(self.works())
        self.assertEqual(program.find("clat.up"), [])
        self.nft('add rule ip6 filter FORWARD iifname "v4-*" accept; add rule ip6 filter FORWARD oifname "v4-*" accept')
        program.wait_event("clat.up", "wan0")
        self.assertTrue(self.works())
        self.assertEqual(len(program.find("clat.blocked")), 1)
        program.stop()

    def test_that_begins_to_drop(self) -> None:
        program = self.start_routed(up=True)
        self.assertTrue(self.works())
        self.nft(POLICY_DROP.format("drop"))
        down = program.wait_event("clat.down", "wan0")
        self.assertIn("ip6 filter FORWARD", down["reason"])
        self.assertFalse(self.works())
        since = program.mark()
        self.nft(POLICY_DROP.format("accept"))
        program.wait_event("clat.up", "wan0", since=since)
        self.assertTrue(self.works())
        program.stop()

    def test_on_the_fast_path_it_is_no_matter(self) -> None:
        self.nft(POLICY_DROP.format("drop"))
        program = self.start()
        self.assertTrue(self.works())
        self.assertEqual(program.find("clat.blocked"), [])
        program.stop()


class Lan(LabTest):
    uplinks = (WAN0,)
    lan = True

    def test_whose_packets_are_dropped(self) -> None:
        self.lab.router.run("nft", "-f", "-", input=POLICY_DROP.format("drop").replace("ip6", "ip"))
        program = self.start()
        blocked = program.wait_event("clat.blocked", "wan0")
        self.assertEqual(blocked["chain"], "ip filter FORWARD")
        self.lab.client(WAN0).udp_echo(self.lab.server_v4)
        argv = ("ping", "-n", "-c", "1", "-W", "1", self.lab.direct_v4)
        self.assertNotIn(" 0% packet loss", self.lab.lan.run(*argv, check=False))
        self.lab.router.run("nft", "flush chain ip filter FORWARD; add rule ip filter FORWARD accept")
        self.assertIn(" 0% packet loss", self.lab.lan.run(*argv))
        program.stop()
