"""IPv4 over IPv6-only uplinks, through TAYGA to an IPv4-only server."""

from __future__ import annotations

import socket

from harness.case import LabTest
from harness.traffic import SINK, Client


class Works(LabTest):
    """Every kind of traffic through every uplink, from the router and from a host behind masquerading."""

    lan = True

    def check_client(self, client: Client) -> None:
        server = self.lab.server_v4
        self.assertEqual(client.ping(server), 3)
        # Not above 1280 bytes of IPv6: TAYGA fragments larger answers, for they come without DF.
        self.assertEqual(client.ping(server, size=1200), 3)
        client.udp_echo(server)
        client.udp_echo(server, size=1)
        client.udp_echo(server, size=1400)
        client.tcp_echo(server)

    def check_router(self) -> None:
        for uplink in self.uplinks:
            with self.subTest(uplink=uplink.name):
                self.check_client(self.lab.client(uplink))

    def test_from_the_router(self) -> None:
        self.start()
        self.check_router()
        self.program.stop()

    def test_from_a_lan_host(self) -> None:
        self.start()
        self.check_client(Client(self.lab.lan))
        # The default route goes through the first interface; without it, through the second.
        self.lab.carrier(self.uplinks[0], False)
        self.program.wait_event("clat.down", self.uplinks[0].name)
        self.check_client(Client(self.lab.lan))
        self.program.stop()

    def test_opened_by_the_server(self) -> None:
        """TAYGA maps the CLAT to an IPv4 address: connections and datagrams from the far side arrive as well."""
        self.start()
        for uplink in self.uplinks:
            with self.subTest(uplink=uplink.name):
                with self.lab.client(uplink).socket(socket.SOCK_DGRAM) as probe:
                    probe.connect((self.lab.server_v4, SINK))
                    own = probe.getsockname()[0]
                with self.lab.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
                    far.settimeout(5)
                    far.bind((self.lab.server_v4, 5555))
                    with self.lab.client(uplink).socket(socket.SOCK_DGRAM) as near:
                        near.sendto(b"who am I?", (self.lab.server_v4, 5555))
                        mapped = far.recvfrom(100)[1][0]
                        far.sendto(b"unasked", (mapped, near.getsockname()[1]))
                        self.assertEqual(near.recv(100), b"unasked")
                with self.lab.client(uplink).socket(socket.SOCK_STREAM) as listener:
                    listener.bind((own, 5556))
                    listener.listen()
                    with self.lab.server.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
                        caller.settimeout(5)
                        caller.connect((mapped, 5556))
                        accepted, _ = listener.accept()
                        with accepted:
                            caller.sendall(b"hello")
                            self.assertEqual(accepted.recv(100), b"hello")
                if uplink == self.uplinks[0]:  # the kernel's answers take the default route
                    self.assertIn(" 0% packet loss", self.lab.server.run("ping", "-n", "-c", "3", "-i", "0.2", mapped))
        self.program.stop()

    def test_without_ipv6_forwarding(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 0)
        self.start()
        self.check_router()
        self.check_client(Client(self.lab.lan))
        self.assertEqual(self.lab.router.sysctl("net/ipv6/conf/all/forwarding"), "0")
        self.program.stop()

    def test_with_a_firewall_that_drops_forwarded_ipv6(self) -> None:
        self.lab.router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.lab.router.run(
            "nft", "-f", "-",
            input="table ip6 lab_filter { chain forward { type filter hook forward priority 0; policy drop; }; }",
        )  # fmt: skip
        self.start()
        self.check_router()
        self.check_client(Client(self.lab.lan))
        self.program.stop()


class DefaultRoutesOnly(LabTest):
    """As on most routers: no route to the NAT64 prefix but the default ones, of which the kernel prefers one."""

    prefix_routes = False

    def test_each_uplink_uses_its_own_gateway(self) -> None:
        self.start()
        for uplink in self.uplinks:
            with self.subTest(uplink=uplink.name):
                client = self.lab.client(uplink)
                client.udp_echo(self.lab.server_v4)
                client.tcp_echo(self.lab.server_v4)
                self.assertEqual(client.ping(self.lab.server_v4), 3)
        self.program.stop()
