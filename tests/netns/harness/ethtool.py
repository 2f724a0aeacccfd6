"""Features of a network device, as `ethtool -K` sets them: by ioctl, so that no tool is needed."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

from .namespace import Namespace

_SIOCETHTOOL = 0x8946
_GSTRINGS, _GSSET_INFO, _GFEATURES, _SFEATURES = 0x1B, 0x37, 0x3A, 0x3B
_FEATURES, _NAME = 4, 32  # ETH_SS_FEATURES, ETH_GSTRING_LEN


def _ask(namespace: Namespace, link: str, request: bytes, room: int = 0) -> bytes:
    data = array.array("B", request + bytes(room))
    address, _ = data.buffer_info()
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("=16sQ16x", link.encode(), address))
    return data.tobytes()


def _names(namespace: Namespace, link: str) -> list[str]:
    (count,) = struct.unpack_from("=I", _ask(namespace, link, struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _FEATURES, 0)), 16)
    answer = _ask(namespace, link, struct.pack("=III", _GSTRINGS, _FEATURES, count), count * _NAME)
    return [answer[12 + i * _NAME : 12 + (i + 1) * _NAME].split(b"\0")[0].decode() for i in range(count)]


def active(namespace: Namespace, link: str) -> set[str]:
    names = _names(namespace, link)
    words = (len(names) + 31) // 32
    answer = _ask(namespace, link, struct.pack("=II", _GFEATURES, words), words * 16)
    return {name for i, name in enumerate(names) if struct.unpack_from("=I", answer, 8 + i // 32 * 16 + 8)[0] >> i % 32 & 1}


def set_features(namespace: Namespace, link: str, **wanted: bool) -> None:
    """Names of the kernel with _ for -, e.g. rx_gro_list=True; raises unless they are so afterwards."""
    names = _names(namespace, link)
    words = (len(names) + 31) // 32
    blocks = [[0, 0] for _ in range(words)]
    for name, value in wanted.items():
        bit = names.index(name.replace("_", "-"))
        blocks[bit // 32][0] |= 1 << bit % 32
        blocks[bit // 32][1] |= int(value) << bit % 32
    _ask(namespace, link, struct.pack("=II", _SFEATURES, words) + b"".join(struct.pack("=II", *each) for each in blocks))
    now = active(namespace, link)
    for name, value in wanted.items():
        if (name.replace("_", "-") in now) != value:
            raise AssertionError(f"{link}: {name} could not be set to {value}")
