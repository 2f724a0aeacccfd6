#!/usr/bin/env python3
"""The size of what is installed: clatvisor, clatd and clatctl of a Release build, stripped, with the BPF objects inside.

    tests/size.py [BIN]    BIN (default: build/bin) holds the programs

The limit is for Debian 12 on amd64, where the libraries that docs/install.md lists are shared. Exit 1 above it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_KIB = 940


def stripped_bytes(program: Path) -> int:
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "-o", stripped.name, program], check=True)
        return Path(stripped.name).stat().st_size


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "build" / "bin"
    sizes = {name: stripped_bytes(folder / name) for name in ("clatvisor", "clatd", "clatctl")}
    total = sum(sizes.values())
    for name, size in (*sizes.items(), ("together", total)):
        print(f"{name:<9} {size / 1024:4.0f} KiB")
    print(f"limit     {LIMIT_KIB:4} KiB")
    return 0 if total <= LIMIT_KIB * 1024 else 1


if __name__ == "__main__":
    sys.exit(main())
