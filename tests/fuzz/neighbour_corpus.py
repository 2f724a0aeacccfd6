"""Writes messages of neighbours as seeds: neighbour_corpus.py FOLDER"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "netns"))

from harness.neighbour import advertisement, probe  # noqa: E402

ADDRESS = "2001:db8::c1a7"
SEEDS = {
    "advertisement": advertisement(ADDRESS, "02:00:00:00:00:09"),
    "bare-advertisement": advertisement(ADDRESS, None),
    "probe": probe(ADDRESS, bytes(range(6))),
    "old-probe": probe(ADDRESS),
}

for name, packet in SEEDS.items():
    (Path(sys.argv[1]) / name).write_bytes(packet)
