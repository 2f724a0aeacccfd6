"""Private IPv4 addresses (RFC 1918) behind 64:ff9b::/96."""

from __future__ import annotations

from harness.case import BothPaths, every_interface
from harness.clatvisor import SLOW
from harness.lab import WAN0, wait_until
from harness.traffic import Servers

PRIVATE = "10.9.8.7"


class Private(BothPaths):
    uplinks = (WAN0,)
    nat64 = False

    def setUp(self) -> None:
        super().setUp()
        address = WAN0.embed(PRIVATE)
        self.lab.plat.ip(f"address add {address}/128 dev lo nodad")
        servers = Servers(self.lab.plat, address)
        self.addCleanup(servers.close)

    def works(self) -> bool:
        return self.lab.client(WAN0).udp_works(PRIVATE)

    def reload(self, **keys: object) -> None:
        config = self.program.default_config()
        every_interface(fast_path=self.fast_path, **keys)(config)
        self.program.reload(config)

    def test_are_translated_by_default(self) -> None:
        self.start()
        self.lab.client(WAN0).tcp_echo(PRIVATE)
        self.assertTrue(wait_until(self.works, 5 * SLOW, "a datagram comes back"))
        self.program.stop()

    def test_are_refused_when_told_so(self) -> None:
        self.start(change=every_interface(allow_private_ipv4=False))
        self.assertFalse(self.works())
        self.reload()
        wait_until(self.works, 5 * SLOW, "the default is back")
        self.reload(allow_private_ipv4=False)
        wait_until(lambda: not self.works(), 5 * SLOW, "it is refused again")
        self.assertFalse(self.works())
        self.lab.client(WAN0).tcp_echo(self.lab.direct_v4)
        self.program.stop()
