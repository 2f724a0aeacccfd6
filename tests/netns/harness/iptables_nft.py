"""Loads what iptables-save prints as iptables-nft does: the same tables and chains of nftables, and rules of the same expressions.

Extensions that have one of their own in nftables become that (interfaces, addresses, protocols, ports, limit, counters);
others are those of xtables inside nftables, which nft itself cannot write: conntrack, icmp, comment, REJECT, LOG, MASQUERADE, TCPMSS.
"""

from __future__ import annotations

import ipaddress
import os
import shlex
import socket
import struct

from .namespace import Namespace

_NETLINK_NETFILTER, _NFTABLES = 12, 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEWTABLE, _NEWCHAIN, _NEWRULE = 0, 3, 6
_REQUEST, _ACK, _CREATE, _APPEND = 0x001, 0x004, 0x400, 0x800
_NESTED = 0x8000
_DROP, _ACCEPT, _JUMP, _RETURN = 0, 1, -3, -5
_NFPROTO = {"ip": 2, "ip6": 10}
# Hook and priority, and the type of the chain.
_HOOKS = {
    ("filter", "INPUT"): (1, 0), ("filter", "FORWARD"): (2, 0), ("filter", "OUTPUT"): (3, 0),
    ("mangle", "FORWARD"): (2, -150), ("raw", "PREROUTING"): (0, -300),
    ("nat", "PREROUTING"): (0, -100), ("nat", "OUTPUT"): (3, -100), ("nat", "POSTROUTING"): (4, 100),
}  # fmt: skip
_STATES = {"INVALID": 1, "ESTABLISHED": 2, "RELATED": 4, "NEW": 8}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def _nest(kind: int, *inside: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(inside))


def _word(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack(">i", value))


def _expression(name: str, *data: bytes) -> bytes:
    return _nest(1, _word(1, name), _nest(2, *data))


def _compare(value: bytes, *, equal: bool = True) -> bytes:
    return _expression("cmp", _number(1, 1), _number(2, 0 if equal else 1), _nest(3, _attribute(1, value)))


def _meta(key: int) -> bytes:
    return _expression("meta", _number(2, key), _number(1, 1))


def _payload(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", _number(1, 1), _number(2, base), _number(3, offset), _number(4, length))


def _verdict(code: int, chain: str = "") -> bytes:
    return _expression("immediate", _number(1, 0), _nest(2, _nest(2, _number(1, code), *([_word(2, chain)] if chain else []))))


def _extension(kind: str, name: str, revision: int, info: bytes) -> bytes:
    """`kind`: match or target; `info`: as in the headers of the kernel, padded to 8 bytes."""
    return _expression(kind, _word(1, name), _number(2, revision), _attribute(3, info + b"\0" * (-len(info) % 8)))


def _conntrack(states: str, inverted: bool) -> bytes:
    """xt_conntrack_mtinfo3: eight addresses, expiry, ports, flags, masks, upper ports."""
    mask = sum(_STATES[state] for state in states.split(","))
    flags = struct.pack("=HHHH", 1, 1 if inverted else 0, mask, 0)
    return _extension("match", "conntrack", 3, bytes(128 + 8 + 10) + flags + bytes(8))


_COUNTER = _expression("counter", _attribute(1, bytes(8)), _attribute(2, bytes(8)))
_TARGETS = {
    "REJECT": (0, struct.pack("=i", 3)),
    "LOG": (0, struct.pack("=BB30s", 4, 0, b"[UFW BLOCK] ")),
    "MASQUERADE": (0, struct.pack("=IIIIHH", 1, 0, 0, 0, 0, 0)),
    "TCPMSS": (0, struct.pack("=H", 0xFFFF)),
}


class _Rule:
    """Of one line behind `-A CHAIN`."""

    def __init__(self, family: str, words: list[str]) -> None:
        self._family, self._words = family, words
        self.protocol = 0
        self.expressions = b""
        while self._words:
            inverted = self._words[0] == "!"
            if inverted:
                self._words.pop(0)
            option = self._words.pop(0)
            self._take(option, inverted)

    def _take(self, option: str, inverted: bool) -> None:
        value = self._words.pop(0)
        if option in ("-i", "-o"):
            name = value[:-1].encode() if value.endswith("+") else value.encode() + b"\0"
            self.expressions += _meta(6 if option == "-i" else 7) + _compare(name, equal=not inverted)
        elif option in ("-s", "-d"):
            network = ipaddress.ip_network(value)
            assert network.prefixlen % 8 == 0, value
            length = network.prefixlen // 8
            at = {"ip": (12, 16), "ip6": (8, 24)}[self._family][option == "-d"]
            self.expressions += _payload(1, at, length) + _compare(network.network_address.packed[:length], equal=not inverted)
        elif option == "-p":
            self.protocol = _PROTOCOLS[value]
            self.expressions += _meta(16) + _compare(bytes([self.protocol]), equal=not inverted)
        elif option == "-m":
            if value == "limit":
                self.expressions += _expression(
                    "limit", _attribute(1, struct.pack(">Q", 3)), _attribute(2, struct.pack(">Q", 60)), _number(3, 10), _number(4, 0)
                )
        elif option in ("--limit", "--limit-burst", "--log-prefix", "--reject-with"):
            pass  # as it is in `_TARGETS` and above
        elif option == "--ctstate":
            self.expressions += _conntrack(value, inverted)
        elif option == "--icmp-type":
            self.expressions += _extension("match", "icmp", 0, struct.pack("=BBBB", int(value), 0, 255, 0))
        elif option == "--icmpv6-type":
            self.expressions += _extension("match", "icmp6", 0, struct.pack("=BBBB", int(value), 0, 255, 0))
        elif option == "--dst-type":
            assert value == "LOCAL"
            self.expressions += _extension("match", "addrtype", 1, struct.pack("=HHI", 0, 1 << 2, 0))
        elif option == "--comment":
            self.expressions += _extension("match", "comment", 0, struct.pack("=256s", value.encode()))
        elif option == "--dport":
            self.expressions += _payload(2, 2, 2) + _compare(struct.pack(">H", int(value)), equal=not inverted)
        elif option == "--tcp-flags":
            assert (value, self._words.pop(0)) == ("SYN,RST", "SYN")
            masked = _expression("bitwise", _number(1, 1), _number(2, 1), _number(3, 1), _nest(4, _attribute(1, b"\x06")),
                                 _nest(5, _attribute(1, b"\0")))  # fmt: skip
            self.expressions += _payload(2, 13, 1) + masked + _compare(b"\x02")
        elif option == "-j":
            self.expressions += _COUNTER + self._target(value)
        else:
            raise ValueError(f"not known here: {option} {value}")

    def _target(self, name: str) -> bytes:
        if name == "TCPMSS":
            assert self._words.pop(0) == "--clamp-mss-to-pmtu"
        if name in _TARGETS:
            return _extension("target", name, *_TARGETS[name])
        codes = {"ACCEPT": _ACCEPT, "DROP": _DROP, "RETURN": _RETURN}
        return _verdict(codes[name]) if name in codes else _verdict(_JUMP, name)


class _Batch:
    def __init__(self, family: str) -> None:
        self._family = family
        self._sequence = 0
        self.bytes = b""

    def add(self, message: int, flags: int, *attributes: bytes) -> None:
        self._put(_NFTABLES << 8 | message, _REQUEST | _ACK | _CREATE | flags, _NFPROTO[self._family], 0, b"".join(attributes))

    def mark(self, kind: int) -> None:
        self._put(kind, _REQUEST, 0, _NFTABLES, b"")

    def _put(self, kind: int, flags: int, family: int, resource: int, attributes: bytes) -> None:
        self._sequence += 1
        self.bytes += struct.pack("=IHHIIBBH", 20 + len(attributes), kind, flags, self._sequence, 0, family, 0, socket.htons(resource))
        self.bytes += attributes

    @property
    def answers(self) -> int:
        return self._sequence - 2


def _lines(batch: _Batch, family: str, text: str) -> None:
    table = ""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0] == "COMMIT":
            continue
        if words[0].startswith("*"):
            table = words[0][1:]
            batch.add(_NEWTABLE, 0, _word(1, table))
        elif words[0].startswith(":"):
            _chain(batch, table, words[0][1:], words[1])
        else:
            assert words[0] == "-A", line
            rule = _Rule(family, words[2:])
            compat = _nest(5, _number(1, rule.protocol), _number(2, 0)) if rule.protocol else b""
            batch.add(_NEWRULE, _APPEND, _word(1, table), _word(2, words[1]), _nest(4, rule.expressions), compat)


def _chain(batch: _Batch, table: str, name: str, policy: str) -> None:
    base = b""
    if (table, name) in _HOOKS:
        hook, priority = _HOOKS[table, name]
        kind = "nat" if table == "nat" else "filter"
        base = _nest(4, _number(1, hook), _number(2, priority)) + _word(7, kind) + _number(5, _DROP if policy == "DROP" else _ACCEPT)
    batch.add(_NEWCHAIN, 0, _word(1, table), _word(3, name), base)


def restore(namespace: Namespace, text: str, family: str = "ip") -> None:
    """In one transaction."""
    batch = _Batch(family)
    batch.mark(_BATCH_BEGIN)
    _lines(batch, family, text)
    batch.mark(_BATCH_END)
    with namespace.entered():
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    with sock:
        sock.settimeout(10)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.send(batch.bytes)
        left = batch.answers
        while left:
            answer = sock.recv(1 << 16)
            while answer:
                length, _, _, sequence, _, error = struct.unpack_from("=IHHIIi", answer)
                if error:
                    raise OSError(-error, f"nftables, message {sequence}: {os.strerror(-error)}")
                answer = answer[(length + 3) & ~3:]
                left -= 1
