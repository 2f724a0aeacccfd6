"""An uplink that is a VLAN (8021q): runs where the kernel has the module."""

from __future__ import annotations

import unittest

from harness.clatvisor import Clatvisor
from harness.lab import WAN0, Lab
from harness.namespace import Namespace
from test_paths import stopped

TAG = 5


class VlanLab(Lab):
    """The uplink and its far end are VLANs of a trunk."""

    def _veth(self, near: Namespace, link: str, far: Namespace, peer: str, index: int | None = None) -> None:
        if link not in {uplink.name for uplink in self.uplinks}:
            return super()._veth(near, link, far, peer, index)
        super()._veth(near, "trunk", far, "trunk")
        for namespace, name in ((near, link), (far, peer)):
            namespace.ip("link set trunk up", f"link add link trunk name {name} type vlan id {TAG}")


class Vlan(unittest.TestCase):
    def setUp(self) -> None:
        self.lab = VlanLab((WAN0,), nat64=False)
        self.addCleanup(self.lab.close)
        self.lab.serve()
        self.program = Clatvisor(self.lab)
        self.program.start().wait_up()
        self.client = self.lab.client(WAN0)

    def test_fast_path(self) -> None:
        with stopped(self.program.wait_clatd("wan0")):
            self.client.tcp_echo(self.lab.direct_v4)
            self.client.udp_echo(self.lab.direct_v4)
            self.assertEqual(self.client.ping(self.lab.direct_v4), 3)
        self.program.stop()

    def test_slow_path(self) -> None:
        argv = ("ping", "-n", "-c", "1", "-W", "5", "-t", "1", "-I", WAN0.tun, self.lab.direct_v4)
        self.assertIn("Time to live exceeded", self.lab.router.run(*argv, check=False))
        self.program.stop()
