"""Puts IPv6 datagrams together in front of TAYGA, which translates no fragment of an ICMP message.

Linux does not do it: what its conntrack put together is cut again on the way out, whatever the next link's MTU.
"""

from __future__ import annotations

import select
import socket
import threading

from .lab import Lab, Uplink
from .packet import Ipv6
from .tap import ETH_P_IPV6, came_in


class Reassembler:
    """For the lab's IPv4-only server, as long as the lab lives. TAYGA gets the fragments as well, and drops them."""

    def __init__(self, lab: Lab, uplink: Uplink) -> None:
        self._tun, self._server = uplink.nat, uplink.embed(lab.server_v4)
        self._in = lab.plat.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IPV6))
        self._out = lab.plat.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self._wake, self._stop = socket.socketpair()
        self._pieces: dict[tuple, dict[int, Ipv6]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        lab.on_close(self._close)

    def _close(self) -> None:
        self._stop.close()
        self._thread.join(5)
        for sock in (self._in, self._out, self._wake):
            sock.close()

    def _run(self) -> None:
        while self._wake not in select.select([self._in, self._wake], [], [])[0]:
            data, origin = self._in.recvfrom(1 << 16)
            if came_in(origin, ETH_P_IPV6):
                piece = Ipv6.parse(data)
                if piece.fragment and piece.destination == self._server:
                    self._take(piece)

    def _take(self, piece: Ipv6) -> None:
        key = (piece.source, piece.destination, piece.fragment[2])
        pieces = self._pieces.setdefault(key, {})
        pieces[piece.fragment[0]] = piece
        payload = b"".join(pieces[offset].payload for offset in sorted(pieces))
        last = pieces[max(pieces)]
        if last.fragment[1] or last.fragment[0] + len(last.payload) != len(payload):
            return
        del self._pieces[key]
        whole = Ipv6(piece.source, piece.destination, piece.protocol, payload, piece.hop_limit, piece.traffic_class)
        self._out.sendto(bytes(whole), (self._tun, ETH_P_IPV6))
