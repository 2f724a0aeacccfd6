"""Writes router advertisements as seeds: ra_corpus.py FOLDER"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "netns"))

from harness.advertiser import message, mtu, pref64, rdnss  # noqa: E402

OPTIONS = {
    "none": [],
    "all-lengths": [pref64(f"2001:db8::/{length}", 1800) for length in (32, 40, 48, 56, 64, 96)],
    "many": [pref64(f"2001:db8:{number:x}::/96", 8) for number in range(20)],
    "others": [bytes([1, 1, 2, 0, 0, 0, 0, 1]), bytes([25, 3]) + bytes(22), mtu(1492), rdnss(600, "2001:db8::53", "fe80::1"), pref64("64:ff9b::/96", 0, code=7)],
}

for name, options in OPTIONS.items():
    (Path(sys.argv[1]) / name).write_bytes(message("fe80::1", *options))
