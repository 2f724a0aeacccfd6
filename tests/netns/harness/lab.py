"""lan - router - IPv6-only uplinks [- relay] - NAT64 (TAYGA) - IPv4-only server, each in a namespace of its own.

The relay is one more IPv6 router, whose own ICMPv6 errors come from outside the NAT64 prefix.

Two servers answer in the IPv4 world: `Lab.server_v4` behind TAYGA, and `Lab.direct_v4`, which is the NAT64's own host
answering natively at <prefix>::<direct_v4>: no second translator in the path, for speed and for exact counting.
"""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import names
from .namespace import Namespace
from .traffic import Client, Servers


def wait_until(condition: Callable[[], object], timeout: float, what: str, every: float = 0.01):
    """For what nobody notifies about. Returns the first true value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(every)


@dataclass(frozen=True)
class Uplink:
    name: str
    prefix: str
    net: str  # the /64, without length
    pool: str  # TAYGA's IPv4 addresses for hosts of this uplink
    metric: int
    lladdr: str

    @property
    def router(self) -> str:
        return f"{self.net}2"

    @property
    def gateway(self) -> str:
        return f"{self.net}1"

    @property
    def far(self) -> str:
        return f"far-{self.name}"[:15]

    @property
    def nat(self) -> str:
        return f"nat-{self.name}"

    @property
    def tun(self) -> str:
        return f"v4-{self.name[-12:]}"

    def embed(self, v4: str) -> str:
        """RFC 6052 §2.2, for a /96."""
        base = ipaddress.IPv6Network(self.prefix).network_address
        return str(ipaddress.IPv6Address(int(base) | int(ipaddress.IPv4Address(v4))))


WAN0 = Uplink("wan0", "64:ff9b::/96", "2001:db8:1::", "192.0.2.0/25", 512, "02:00:00:00:01:02")
WWAN0 = Uplink("wwan0", "2001:db8:64::/96", "2001:db8:2::", "192.0.2.128/25", 1024, "02:00:00:00:02:02")
SPARE0 = Uplink("spare0", "2001:db8:65::/96", "2001:db8:3::", "203.0.113.0/25", 2048, "02:00:00:00:03:02")


class Lab:
    # Addresses that TAYGA translates under 64:ff9b::/96: it refuses private and documentation IPv4 there (RFC 6052
    # §3.1). Nothing leaves the namespaces.
    server_v4 = "192.175.48.2"
    direct_v4 = "192.175.48.77"
    lan_host = "192.168.7.2"

    _count = 0

    def __init__(
        self, uplinks: tuple[Uplink, ...] = (WAN0, WWAN0), *, nat64: bool = True, lan: bool = False,
        relay: bool = False, prefix_routes: bool = True, mtu: int = 1500, nat64_mtu: int | None = None,
    ) -> None:  # fmt: skip
        """`prefix_routes`: the router has a route to each NAT64 prefix through its uplink, beside the default routes.
        `mtu`: of every link; `nat64_mtu`: of TAYGA's tun and the server's link."""
        names.reap_dead_runs()
        Lab._count += 1
        self._prefix = f"{names.prefix()}{Lab._count}-"
        self._stack = contextlib.ExitStack()
        atexit.register(self.close)
        self.uplinks = uplinks
        self.prefix_routes = prefix_routes
        self.mtu = mtu
        self.nat64_mtu = nat64_mtu or mtu
        self.scratch = names.SCRATCH_PARENT / self._prefix.rstrip("-")
        try:
            self._make_scratch()
            self.router = self._namespace("router")
            self.plat = self._namespace("plat")
            self.server = self._namespace("server")
            self.provider = self._namespace("relay") if relay else self.plat  # holds the uplinks' far ends
            for uplink in uplinks:
                self.make_link(uplink)
            if relay:
                self._prepare_relay()
            self._prepare_server()
            if nat64:
                for uplink in uplinks:
                    self._start_tayga(uplink)
            if lan:
                self._prepare_lan()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        atexit.unregister(self.close)
        self._stack.close()

    def keep(self) -> None:
        """Leaves everything in place when this process ends."""
        atexit.unregister(self.close)
        self._stack.pop_all()

    def serve(self) -> None:
        """Echo, sink and source on both servers of the IPv4 world."""
        direct = [uplink.embed(self.direct_v4) for uplink in self.uplinks]
        self.servers = [Servers(self.server, self.server_v4), Servers(self.plat, *direct)]
        for servers in self.servers:
            self._stack.callback(servers.close)

    def client(self, uplink: Uplink) -> Client:
        """The router itself, through one CLAT."""
        return Client(self.router, uplink.tun)

    def on_close(self, callback: Callable[[], object]) -> None:
        self._stack.callback(callback)

    def _make_scratch(self) -> None:
        self.scratch.mkdir()
        self.scratch.chmod(0o755)
        self._stack.callback(names.delete_scratch, self.scratch)
        self.bpffs = self.scratch / "bpf"
        self.bpffs.mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", self.bpffs], check=True)

    def _namespace(self, role: str) -> Namespace:
        namespace = Namespace(self._prefix + role)
        self._stack.callback(namespace.close)
        return namespace

    def _veth(self, near: Namespace, link: str, far: Namespace, peer: str, index: int | None = None) -> None:
        which = f"{link} index {index}" if index else link
        near.ip(f"link add {which} mtu {self.mtu} type veth peer name {peer} mtu {self.mtu} netns {far.name}")

    def make_link(self, uplink: Uplink, *, address: bool = True, index: int | None = None) -> None:
        """The veth pair of an uplink; also after delete_link. No DAD on the lab's own addresses: they are usable at once."""
        self._veth(self.router, uplink.name, self.provider, uplink.far, index)
        self.router.ip(f"link set {uplink.name} address {uplink.lladdr}")
        for namespace, link in ((self.router, uplink.name), (self.provider, uplink.far)):
            namespace.sysctl(f"net/ipv6/conf/{link}/accept_ra", 0)
            namespace.sysctl(f"net/ipv6/conf/{link}/accept_dad", 0)
        self.provider.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.plat.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.plat.sysctl("net/ipv4/conf/all/forwarding", 1)
        self.provider.ip(
            f"link set {uplink.far} up",
            f"address add {uplink.gateway}/64 dev {uplink.far} nodad",
        )
        self.plat.ip(f"address replace {uplink.embed(self.direct_v4)}/128 dev lo nodad")
        self.router.ip(f"link set {uplink.name} up")
        if address:
            self.add_address(uplink)

    def add_address(self, uplink: Uplink) -> None:
        self.router.ip(f"address add {uplink.router}/64 dev {uplink.name} nodad")
        self.add_routes(uplink)

    def add_routes(self, uplink: Uplink) -> None:
        self.router.ip(f"route replace default via {uplink.gateway} dev {uplink.name} metric {uplink.metric}")
        if self.prefix_routes:
            self.router.ip(f"route replace {uplink.prefix} via {uplink.gateway} dev {uplink.name}")

    def remove_address(self, uplink: Uplink) -> None:
        self.router.ip(f"address del {uplink.router}/64 dev {uplink.name}")

    def delete_link(self, uplink: Uplink) -> None:
        self.router.ip(f"link del {uplink.name}")

    def carrier(self, uplink: Uplink, up: bool) -> None:
        self.provider.ip(f"link set {uplink.far} {'up' if up else 'down'}")
        if up:  # a link that goes down loses its global addresses
            self.provider.ip(f"address replace {uplink.gateway}/64 dev {uplink.far} nodad")

    def add_router(self, uplink: Uplink, number: int) -> Namespace:
        """One more router on the uplink's link, fe80::NUMBER on its `wan`, that forwards to the NAT64; answers come back past it."""
        router = self._namespace(f"r{number}")
        self.plat.ip(f"link add wan link {uplink.far} netns {router.name} type macvlan mode private")
        self._veth(router, "core", self.plat, f"core{number}")
        for link in ("wan", "core"):
            router.sysctl(f"net/ipv6/conf/{link}/accept_dad", 0)
        self.plat.sysctl(f"net/ipv6/conf/core{number}/accept_dad", 0)
        router.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.plat.ip(f"link set core{number} up", f"address add fd00:{number}::1/64 dev core{number} nodad")
        router.ip(
            "link set core up", f"address add fd00:{number}::2/64 dev core nodad", f"route add default via fd00:{number}::1",
            "link set wan up", f"address add fe80::{number}/64 dev wan nodad",
        )  # fmt: skip
        return router

    def _prepare_relay(self) -> None:
        self._veth(self.provider, "core", self.plat, "core")
        for namespace, address in ((self.provider, "2001:db8:ffff::1"), (self.plat, "2001:db8:ffff::2")):
            namespace.sysctl("net/ipv6/conf/core/accept_dad", 0)
            namespace.ip("link set core up", f"address add {address}/64 dev core nodad")
        for uplink in self.uplinks:
            self.provider.ip(f"route add {uplink.prefix} via 2001:db8:ffff::2")
            self.plat.ip(f"route add {uplink.net}/64 via 2001:db8:ffff::1")

    def _prepare_server(self) -> None:
        self._veth(self.plat, "srv0", self.server, "srv0")
        up = f"link set srv0 mtu {self.nat64_mtu} up"
        self.plat.ip("address add 192.175.48.1/26 dev srv0", up)
        self.server.ip(f"address add {self.server_v4}/26 dev srv0", up, "route add default via 192.175.48.1")
        self.server.sysctl("net/ipv6/conf/all/disable_ipv6", 1)

    def _start_tayga(self, uplink: Uplink) -> None:
        pool = ipaddress.IPv4Network(uplink.pool)
        conf = self.scratch / f"tayga-{uplink.name}.conf"
        data = self.scratch / f"tayga-{uplink.name}"
        data.mkdir()
        conf.write_text(
            f"tun-device {uplink.nat}\nipv4-addr {pool[1]}\nipv6-addr {uplink.net}64\n"
            f"prefix {uplink.prefix}\ndynamic-pool {uplink.pool}\ndata-dir {data}\n"
        )
        start_tayga(self.plat, conf, self.scratch / f"tayga-{uplink.name}.log", uplink.nat, self.on_close, self.nat64_mtu)
        self.plat.ip(f"route add {uplink.pool} dev {uplink.nat}", f"route add {uplink.prefix} dev {uplink.nat}")

    def _prepare_lan(self) -> None:
        self.lan = self._namespace("lan")
        self._veth(self.lan, "eth0", self.router, "lan0")
        self.router.sysctl("net/ipv6/conf/lan0/accept_dad", 0)
        self.lan.ip(f"address add {self.lan_host}/24 dev eth0", "link set eth0 up")
        self.router.ip("address add 192.168.7.1/24 dev lan0", "link set lan0 up")
        self.lan.ip("route add default via 192.168.7.1")
        self.router.sysctl("net/ipv4/ip_forward", 1)
        self.router.run(
            "nft", "-f", "-",
            input='table ip lab_nat { chain postrouting { type nat hook postrouting priority 100; oifname "v4-*" masquerade; }; }',
        )


def start_tayga(
    namespace: Namespace, conf: Path, log: Path, tun: str, on_close: Callable[[Callable[[], object]], None], mtu: int = 1500
) -> subprocess.Popen:
    namespace.run("tayga", "-c", str(conf), "--mktun")
    namespace.ip(f"link set {tun} mtu {mtu} up")
    with log.open("wb") as out:
        process = namespace.popen("tayga", "-d", "-c", str(conf), stdout=out, stderr=subprocess.STDOUT)
    on_close(lambda: stop_process(process))

    def carrier() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"tayga ended: {log.read_text()}")
        return "LOWER_UP" in namespace.ip_json("link", "show", tun)[0]["flags"]

    wait_until(carrier, 10, f"tayga holds {tun}")
    return process


def stop_process(process: subprocess.Popen, patience: float = 5) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def exit_on_signals() -> None:
    """SIGTERM and SIGHUP end this process as ^C does: by an exception, so that everything is cleaned up."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
