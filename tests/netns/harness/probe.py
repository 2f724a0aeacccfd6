"""What a sender learns about the path: ICMP errors as its sockets get them, path MTUs, the way hop by hop."""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass

from .clatvisor import SLOW
from .packet import icmp
from .traffic import Client

# From <linux/in.h> and <linux/errqueue.h>; Python has no names for them.
IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO, IP_RECVERR, IP_RECVTOS = 10, 0, 2, 11, 13
_ERROR = struct.Struct("=IBBBxII")  # struct sock_extended_err: errno, origin, type, code, info (the MTU), data
_ORIGIN_ICMP = 2

TIME_EXCEEDED, UNREACHABLE, ECHO_REPLY = 11, 3, 0


@dataclass(frozen=True)
class Answer:
    """`source` as the offender of an ICMP error, which the kernel found to be about this socket."""

    source: str
    kind: int
    code: int
    errno: int
    info: int


def wants_errors(sock: socket.socket) -> socket.socket:
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    return sock


def next_error(sock: socket.socket, timeout: float) -> Answer | None:
    """The next ICMP error on a socket that wants_errors(); errors of the local kernel are passed over."""
    poll = select.poll()
    poll.register(sock, 0)  # POLLERR always is reported
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        if not poll.poll(left * 1000):
            return None
        _, controls, _, _ = sock.recvmsg(1, 512, socket.MSG_ERRQUEUE)
        for level, kind, data in controls:
            if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR):
                errno, origin, icmp_type, code, info, _ = _ERROR.unpack_from(data)
                if origin == _ORIGIN_ICMP:
                    offender = data[_ERROR.size + 4 : _ERROR.size + 8]  # sockaddr_in
                    return Answer(socket.inet_ntoa(offender), icmp_type, code, errno, info)
    return None


def path_mtu(client: Client, destination: str) -> int | None:
    """As cached by the sender's kernel after Fragmentation Needed; None without such an entry."""
    through = ("oif", client.device) if client.device else ()
    route = client.namespace.ip_json("route", "get", destination, *through)[0]
    return next((metric["mtu"] for metric in route.get("metrics", []) if "mtu" in metric), None)


def _udp_hop(client: Client, destination: str, ttl: int, timeout: float) -> str | None:
    with wants_errors(client.socket(socket.SOCK_DGRAM)) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.connect((destination, 33434 + ttl))
        sock.send(b"which way?")
        answer = next_error(sock, timeout)
    return answer.source if answer else None


def _icmp_hop(client: Client, destination: str, ttl: int, timeout: float) -> str | None:
    """Answers are matched by the identifier: the whole of it in an echo reply, as quoted in an error."""
    request = icmp(8, 0, b"which way?", rest=ttl << 16 | 0x464)
    with client.socket(socket.SOCK_RAW, timeout, proto=socket.IPPROTO_ICMP) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.sendto(request, (destination, 0))
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                packet, (source, _) = sock.recvfrom(2048)
            except TimeoutError:
                return None
            message = packet[(packet[0] & 15) * 4 :]
            echo = message if message[0] == ECHO_REPLY else message[28:]  # behind the quoted IPv4 header
            if message[0] in (ECHO_REPLY, TIME_EXCEEDED, UNREACHABLE) and echo[4:8] == request[4:8]:
                return source
    return None


def traceroute(client: Client, destination: str, *, by: int = socket.IPPROTO_UDP, most: int = 12) -> list[str | None]:
    """Who answered at each hop, up to the destination. Lost answers are asked for three times."""
    ask = _udp_hop if by == socket.IPPROTO_UDP else _icmp_hop
    hops: list[str | None] = []
    while len(hops) < most and destination not in hops:
        tries = (ask(client, destination, len(hops) + 1, 2 * SLOW) for _ in range(3))
        hops.append(next((source for source in tries if source), None))
    return hops
