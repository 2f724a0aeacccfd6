#!/usr/bin/env python3
"""Seeds of request_fuzz into a folder: every command."""

import pathlib
import sys

LINES = ("status --json wan0", "status --healthy --color", "show wan0 ipv4", "explain wan0", "events --follow", "metrics", "check",
         "reload", "restart wan0", "handover")

for number, line in enumerate(LINES):
    (pathlib.Path(sys.argv[1]) / str(number)).write_text(line)
