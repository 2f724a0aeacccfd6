"""Filters and actions that this machine's kernel may not have, as shaping scripts of OpenWrt set them: cake on an ifb."""

from __future__ import annotations

import re
import unittest

from harness.clatvisor import SLOW, Clatvisor
from harness.lab import WAN0, Lab, wait_until

IFB = "ifb4wan0"
FILTERS = {
    # sqm-scripts
    "u32": ("protocol", "all", "prio", "10", "u32", "match", "u32", "0", "0", "flowid", "1:1", "action"),
    # QoSmate, which restores the DSCP that it kept in the connection's mark
    "matchall": ("protocol", "all", "matchall", "action", "ctinfo", "dscp", "63", "128", "action"),
    "flower": ("protocol", "all", "prio", "10", "flower", "action"),
    "basic": ("protocol", "all", "prio", "10", "basic", "action"),
}


class Sqm(unittest.TestCase):
    def test_each_kind_of_redirect_is_followed(self) -> None:
        with Lab((WAN0,), nat64=False) as lab:
            lab.serve()
            router = lab.router
            router.ip(f"link add {IFB} type ifb", f"link set {IFB} up")
            router.run("tc", "qdisc", "add", "dev", IFB, "root", "cake", "bandwidth", "20mbit", "besteffort")
            router.run("tc", "qdisc", "add", "dev", WAN0.name, "handle", "ffff:", "ingress")
            program = Clatvisor(lab)
            program.start().wait_up()
            for kind, words in FILTERS.items():
                with self.subTest(kind):
                    since = program.mark()
                    redirect = ("mirred", "egress", "redirect", "dev", IFB)
                    router.run("tc", "filter", "add", "dev", WAN0.name, "parent", "ffff:", *words, *redirect)
                    followed = program.wait_event("shaping.followed", WAN0.name, since=since)
                    self.assertEqual((followed["filter"], followed["ctinfo"]), (kind, "yes" if kind == "matchall" else "no"))
                    lab.client(WAN0).udp_echo(lab.direct_v4)
                    shown = router.run("tc", "-s", "filter", "show", "dev", WAN0.tun, "ingress")
                    self.assertRegex(shown, rf"pref 1124 {kind}")
                    if kind == "matchall":
                        self.assertRegex(shown, r"ctinfo zone 0 pipe[\s\S]*dscp 0x0*3f 0x0*80")
                    sent = re.search(rf"Redirect to device {IFB}\)[\s\S]*?Sent \d+ bytes (\d+) pkt", shown)
                    self.assertGreater(int(sent[1]), 0, shown)
                    router.run("tc", "filter", "del", "dev", WAN0.name, "parent", "ffff:")
                    program.wait_event("shaping.ended", WAN0.name, since=since)
                    gone = lambda: "mirred" not in router.run("tc", "filter", "show", "dev", WAN0.tun, "ingress")  # noqa: E731
                    wait_until(gone, 5 * SLOW, "the copy goes with it")
                    # That took our program along, too.
                    wait_until(lambda: "clat_" in router.run("tc", "filter", "show", "dev", WAN0.name, "ingress"), 5 * SLOW, "it is back")
            program.stop()
