#!/usr/bin/env python3
"""The scripts of config/openwrt/files, in busybox' shell and in dash, with OpenWrt's own files stood in for: run.py BIN [CASE…]

BIN holds clatvisor and clatd, which has to find the YAML fine that is made of UCI.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = ROOT / "config" / "openwrt" / "files"
BIN = Path(sys.argv[1]).resolve()
SHELLS = (["busybox", "sh"], ["dash"])


class ScriptTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="clatvisor-openwrt-")
        self.addCleanup(folder.cleanup)
        self.uci = Path(folder.name)
        self.environment = {"PATH": f"{HERE}:{os.environ['PATH']}", "UCI": str(self.uci), "IPKG_INSTROOT": str(HERE)}
        self.write("devices", "wan6 eth1\nwwan wwan0\npppoe pppoe-wan-long\nlan br-lan\n")

    def write(self, name: str, text: str) -> Path:
        path = self.uci / name
        path.write_text(text)
        return path

    def run_in(self, shell: list[str], *words: object, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*shell, *map(str, words)], env={**self.environment, **more}, capture_output=True, text=True, timeout=60
        )

    def both(self, *words: object) -> subprocess.CompletedProcess:
        """What both shells agree on."""
        first, second = (self.run_in(shell, *words) for shell in SHELLS)
        self.assertEqual((first.returncode, first.stdout, first.stderr), (second.returncode, second.stdout, second.stderr))
        return first


class UciToYaml(ScriptTest):
    def convert(self, text: str, *words: str) -> subprocess.CompletedProcess:
        self.write("clatvisor", text)
        return self.both(FILES / "uci-to-yaml", *words)

    def uplink(self, *options: str, main: str = "") -> subprocess.CompletedProcess:
        lines = "".join(f"\t{option}\n" for option in options)
        return self.convert(f"config clatvisor 'main'\n{main}config uplink 'wan'\n{lines}")

    def assert_yaml(self, done: subprocess.CompletedProcess, *lines: str) -> None:
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.splitlines()[1:], list(lines))
        file = self.write("made.yaml", done.stdout)
        checked = subprocess.run([BIN / "clatvisor", "--config", file, "--check"], capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""), done.stdout)

    def test_as_shipped(self) -> None:
        self.assert_yaml(self.convert((FILES / "clatvisor.config").read_text()), "interfaces:", "  'eth1':", "    nat64-prefix: 'auto'")

    def test_every_option(self) -> None:
        text = """package clatvisor

config clatvisor 'main'
	option enabled '1'
	option confine 'off'
	option log_level 'debug'
	option log_format 'json'
	option log_target '/var/log/clatvisor.log'
	option health_interval '5m'
	option clatd_path '/bin/sh'
	option clatd_dialect 'native'
	option clatd_user 'nobody'
	option clatd_stop_timeout '3s'
	option restart_initial '200ms'
	option restart_max '1m'
	option restart_factor '1.5'
	option restart_jitter '0'
	option restart_stable_after '2h'
	list dns '2001:db8::53'
	list dns '2001:db8::54'
	option ipv4_pool '10.64.0.0/24'
	option audit_interval '10ms'
	option icmp_rate '50'
	option control_socket '/run/c.sock'
	option control_group 'root'
	option state_dir '/run/c'
	option bpf_dir '/sys/fs/bpf/c'

config uplink 'wan'
	option interface 'wan6'
	option nat64_prefix '2001:db8:64::/96'
	option ipv4_address '192.0.0.5'
	option ipv6_source_from 'lan'
	option mtu '1420'
	option when 'always'
	option fast_path 'required'
	option metric '100'
	option mark '0xCAFE'
	option net_id '7'
	option tun 'v4-wan'
	option queues '8'
	option lowest_ipv6_mtu '1280'
	option allow_private_ipv4 'yes'
	option probe_address '192.0.0.170'
	option probe_interval '10s'
	list on_up '/bin/true'
	list on_up 'zone=wan'
	option on_down '/bin/true'
	option shaping 'ignore'

config uplink
	option device 'usb0'
	list nat64_only '64:ff9b::/96'
	list nat64_only '2001:db8:64::/96'
	option default_route '0'
	option ipv6_address '2001:db8::5'

config uplink 'third'
	option device 'usb1'
	list ipv4_source '192.168.1.0/24'
	list ipv4_source '172.16.0.0/12'
	list ipv6_source '2001:db8:1:2::/64'
	list ipv6_source '2001:db8:1:3::/96'

config uplink 'off'
	option enabled '0'
	option device 'usb2'
"""
        self.assert_yaml(
            self.convert(text),
            "interfaces:",
            "  'eth1':",
            "    nat64-prefix: '2001:db8:64::/96'",
            "    default-route: {metric: 100}",
            "    ipv6-source: {from: 'br-lan'}",
            "    probe: {address: '192.0.0.170', interval: '10s'}",
            "    ipv4-address: '192.0.0.5'",
            "    mtu: '1420'",
            "    when: 'always'",
            "    fast-path: 'required'",
            "    mark: '0xCAFE'",
            "    net-id: '7'",
            "    tun: 'v4-wan'",
            "    queues: '8'",
            "    lowest-ipv6-mtu: '1280'",
            "    allow-private-ipv4: 'true'",
            "    on-up: ['/bin/true', 'zone=wan']",
            "    on-down: ['/bin/true']",
            "    shaping: 'ignore'",
            "  'usb0':",
            "    nat64-prefix: {auto: true, only: ['64:ff9b::/96', '2001:db8:64::/96']}",
            "    default-route: false",
            "    ipv6-address: '2001:db8::5'",
            "  'usb1':",
            "    nat64-prefix: 'auto'",
            "    ipv4-source: ['192.168.1.0/24', '172.16.0.0/12']",
            "    ipv6-source: ['2001:db8:1:2::/64', '2001:db8:1:3::/96']",
            "dns: {servers: ['2001:db8::53', '2001:db8::54']}",
            "ipv4-pool: '10.64.0.0/24'",
            "audit-interval: '10ms'",
            "icmp-rate: '50/s'",
            "state-dir: '/run/c'",
            "bpf-dir: '/sys/fs/bpf/c'",
            "control-socket: {path: '/run/c.sock', group: 'root'}",
            "clatd: {path: '/bin/sh', dialect: 'native', user: 'nobody', stop-timeout: '3s', restart: {initial: '200ms', "
            "max: '1m', factor: '1.5', jitter: '0', stable-after: '2h'}}",
            "log: {level: 'debug', format: 'json', target: '/var/log/clatvisor.log', health-interval: '5m'}",
        )
        # None was forgotten here, nor in the documentation.
        script = (FILES / "uci-to-yaml").read_text()
        page = (ROOT / "docs" / "openwrt.md").read_text()
        for table in re.findall(r"<<-'END'\n(.*?)\tEND\n", script, re.DOTALL):
            for option in (line.split()[0] for line in table.splitlines()):
                if option != "config_file":
                    self.assertRegex(text, rf"(option|list) {option} '")
                self.assertRegex(page, rf"\| `{option}` \|")

    def test_what_is_wrong_is_named(self) -> None:
        for option, why in (
            ("option mtu '1279'", "option 'mtu': '1279' is not a whole number from 1280 to 65535"),
            ("option mtu '1e3'", "option 'mtu': '1e3' is not a whole number from 1280 to 65535"),
            ("option queues '08'", "option 'queues': '08' is not a whole number from 1 to 8"),
            ("option metric '99999999999999999999'", "option 'metric': '99999999999999999999' is not a whole number from 0 to 4294967295"),
            ("option mark '0x1ffffffff'", "option 'mark': '0x1ffffffff' is not a number of 32 bits, decimal or with 0x"),
            ("option when 'never'", "option 'when': 'never' is not one of no-native-ipv4 always"),
            ("option default_route 'maybe'", "option 'default_route': 'maybe' is not 0 or 1"),
            ("option nat64_prefix '64:ff9b::'", "option 'nat64_prefix': '64:ff9b::' is not auto or an IPv6 prefix with its length"),
            ("option ipv4_address 'wan'", "option 'ipv4_address': 'wan' is not auto or an IPv4 address"),
            ("option ipv6_address '192.0.2.1'", "option 'ipv6_address': '192.0.2.1' is not auto or an IPv6 address"),
            ("option tun 'much-too-long-for-linux'", "option 'tun': 'much-too-long-for-linux' is not the name of a device, at most 15 characters"),
            ("option mut '1400'", "unknown option 'mut'"),
            ("list when_ever '1'", "unknown option 'when_ever'"),
            # What would be more than a value in YAML.
            ("option tun \"a'b\"", "option 'tun': 'a'b' is not the name of a device, at most 15 characters"),
            ("option nat64_prefix '64:ff9b::/96, x: y'", "option 'nat64_prefix': '64:ff9b::/96, x: y' is not auto or an IPv6 prefix with its length"),
            ("option nat64_only '64:ff9b::/96], tun: x'", "option 'nat64_only': '64:ff9b::/96], tun: x' is not a list of IPv6 prefixes with their lengths"),
        ):
            with self.subTest(option):
                done = self.uplink("option interface 'wan6'", option)
                self.assertEqual(done.returncode, 78)
                colon = " " if why.startswith("unknown") else " "
                self.assertEqual(done.stderr, f"clatvisor: /etc/config/clatvisor: uplink 'wan':{colon}{why}\n")

    def test_what_is_wrong_in_main_is_named(self) -> None:
        for option, why in (
            ("option log_level 'loud'", "'loud' is not one of debug info warn error"),
            ("option log_target 'file'", "'file' is not stderr, syslog or an absolute path"),
            ("option health_interval '60'", "'60' is not a whole number with ms, s, m or h, like 60s"),
            ("option restart_factor '1.'", "'1.' is not a number, like 0.2"),
            ("option icmp_rate '0'", "'0' is not a whole number of packets a second"),
            ("option state_dir 'run'", "'run' is not an absolute path"),
            ("option ipv4_pool '10.0.0.0'", "'10.0.0.0' is not an IPv4 prefix with its length"),
            ("list dns '192.0.2.53'", "'192.0.2.53' is not a list of IPv6 addresses"),
            ("option control_socket 'on'", "'on' is not off or an absolute path"),
            ("option clatd_user 'a b'", "'a b' is not a name of letters, digits, dots, dashes and underscores"),
        ):
            with self.subTest(option):
                done = self.uplink("option interface 'wan6'", main=f"\t{option}\n")
                self.assertEqual(done.returncode, 78)
                self.assertEqual(done.stderr, f"clatvisor: /etc/config/clatvisor: clatvisor 'main': option '{option.split()[1]}': {why}\n")

    def test_the_control_socket(self) -> None:
        for options, line in (
            ("\toption control_socket 'off'\n", "control-socket: 'off'"),
            ("\toption control_socket '/run/c.sock'\n", "control-socket: '/run/c.sock'"),
            ("\toption control_group 'root'\n", "control-socket: {path: '/run/clatvisor/control.sock', group: 'root'}"),
        ):
            self.assert_yaml(self.uplink("option interface 'wan6'", main=options), "interfaces:", "  'eth1':", "    nat64-prefix: 'auto'", line)
        done = self.uplink("option interface 'wan6'", main="\toption control_socket 'off'\n\toption control_group 'root'\n")
        self.assertEqual(done.returncode, 78)
        self.assertIn("option 'control_group' is of the control socket, and that is off", done.stderr)

    def test_sections_that_are_wrong(self) -> None:
        for text, why in (
            ("config uplnk 'wan'\n", "section 'wan': unknown type 'uplnk'; there are clatvisor and uplink"),
            ("config clatvisor 'other'\n", "section 'other': the one of type clatvisor is called main"),
            ("config uplink 'x'\n", "uplink 'x': needs an interface (of /etc/config/network) or a device"),
            ("config uplink 'x'\n\toption device 'a'\n\toption interface 'wan6'\n", "uplink 'x': interface and device do not go together"),
            ("config uplink 'x'\n\toption device 'usb0'\nconfig uplink 'y'\n\toption device 'usb0'\n", "uplink 'y': usb0 has an uplink already"),
            ("config uplink 'x'\n\toption device 'usb0'\n\toption default_route '0'\n\toption metric '5'\n",
             "uplink 'x': option 'metric' is of the default route, and default_route is 0"),
            ("config uplink 'x'\n\toption device 'usb0'\n\toption nat64_prefix '64:ff9b::/96'\n\tlist nat64_only '64:ff9b::/96'\n",
             "uplink 'x': option 'nat64_only' chooses among those discovered, and nat64_prefix is 64:ff9b::/96"),
        ):  # fmt: skip
            with self.subTest(text):
                done = self.convert(text)
                self.assertEqual((done.returncode, done.stderr), (78, f"clatvisor: /etc/config/clatvisor: {why}\n"))

    def test_an_uplink_without_a_device_is_left_out(self) -> None:
        absent = "config uplink 'lte'\n\toption interface 'lte6'\n"
        done = self.convert(absent + "config uplink 'wan'\n\toption interface 'wan6'\n")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr, "clatvisor: /etc/config/clatvisor: uplink 'lte': left out: interface 'lte6' has no device yet\n")
        self.assertNotIn("lte", done.stdout)
        self.assertEqual(self.convert(absent).returncode, 1)
        self.assertEqual(self.convert("").returncode, 1)

    def test_the_name_of_a_tun(self) -> None:
        text = """config uplink 'wan'
	option interface 'wan6'
config uplink 'ppp'
	option interface 'pppoe'
	option default_route 'off'
config uplink 'named'
	option device 'usb0'
	option tun 'v4-named'
config uplink 'absent'
	option interface 'lte6'
"""
        for section, name in (("wan", "v4-eth1"), ("ppp", "v4-poe-wan-long no-route"), ("named", "v4-named")):
            self.assertEqual(self.convert(text, "tun", section).stdout, f"{name}\n")
        self.assertEqual(self.convert(text, "tun", "absent").returncode, 1)


class Init(ScriptTest):
    """/etc/init.d/clatvisor, with rc.common and procd stood in for."""

    STUBS = """
procd_open_instance() { echo open; }
procd_set_param() { echo "$@"; }
procd_close_instance() { echo close; }
procd_add_reload_trigger() { echo "trigger $*"; }
procd_add_reload_interface_trigger() { echo "trigger interface $*"; }
procd_running() { [ -n "$RUNNING" ]; }
procd_send_signal() { echo "signal $*"; }
start() { start_service; }
stop() { echo stop; }
mount() { :; }
grep() { :; }
"""

    def call(self, function: str, **more: str) -> tuple[int, str, str]:
        etc = self.uci / "etc" / "config"
        etc.mkdir(parents=True, exist_ok=True)
        shutil.copytree(HERE / "lib", self.uci / "lib", dirs_exist_ok=True)
        if (self.uci / "clatvisor").exists():
            shutil.copy(self.uci / "clatvisor", etc / "clatvisor")
        self.environment["IPKG_INSTROOT"] = str(self.uci)
        script = (
            f". {HERE}/lib/functions.sh\n{self.STUBS}\n. {FILES}/clatvisor.init\n"
            f"PROG={BIN}/clatvisor MADE={self.uci}/made.yaml CONVERT={self.uci}/convert\n{function}\n"
        )
        results = []
        for shell in SHELLS:
            convert = self.write("convert", f'#!/bin/sh\nexec {" ".join(shell)} {FILES}/uci-to-yaml "$@"\n')
            convert.chmod(0o755)
            (self.uci / "made.yaml").unlink(missing_ok=True)
            done = self.run_in(shell, "-c", script, **more)
            results.append((done.returncode, done.stdout, done.stderr))
        self.assertEqual(*results)
        return results[0]

    def test_starts_from_uci(self) -> None:
        self.write("clatvisor", (FILES / "clatvisor.config").read_text())
        code, said, _ = self.call("start_service")
        self.assertEqual(code, 0)
        self.assertIn(f"command {BIN}/clatvisor --config {self.uci}/made.yaml\n", said)
        self.assertIn("respawn 3600 1 0\n", said)
        self.assertNotIn("capabilities", said)

    def test_starts_from_a_file(self) -> None:
        mine = self.write("mine.yaml", "interfaces: {wan0: {}}\n")
        self.write("clatvisor", f"config clatvisor 'main'\n\toption config_file '{mine}'\n")
        self.assertIn(f"--config {mine}\n", self.call("start_service")[1])
        self.assertFalse((self.uci / "made.yaml").exists())

    def test_nothing_to_start(self) -> None:
        for text in ("config clatvisor 'main'\n\toption enabled '0'\n", "config uplink 'x'\n\toption interface 'lte6'\n"):
            self.write("clatvisor", text)
            code, said, _ = self.call("start_service")
            self.assertEqual((code, said), (0, ""))

    def test_what_is_wrong_starts_nothing(self) -> None:
        for text in ("config uplink 'x'\n\toption device 'usb0'\n\toption mtu '1'\n", "config clatvisor 'main'\n\toption config_file '/nonexistent'\n"):
            self.write("clatvisor", text)
            code, said, complaint = self.call("start_service")
            self.assertEqual((code, said), (1, ""))
            self.assertTrue(complaint)

    def test_reload(self) -> None:
        good = (FILES / "clatvisor.config").read_text()
        for text, running, said in (
            (good, "yes", "signal clatvisor * HUP\n"),
            (good + "\toption mtu '1'\n", "yes", ""),
            ("config clatvisor 'main'\n\toption enabled '0'\n", "yes", "stop\n"),
        ):
            self.write("clatvisor", text)
            self.assertEqual(self.call("reload_service", RUNNING=running)[1], said)
        self.write("clatvisor", good)
        self.assertIn("open\n", self.call("reload_service", RUNNING="")[1])

    def test_triggers(self) -> None:
        self.write("clatvisor", "config uplink 'x'\n\toption interface 'wan6'\n\toption ipv6_source_from 'lan'\n")
        self.assertEqual(self.call("service_triggers")[1], "trigger clatvisor\ntrigger interface wan6\ntrigger interface lan\n")

    def test_check_and_handover(self) -> None:
        self.write("clatvisor", (FILES / "clatvisor.config").read_text())
        code, _, said = self.call("check")
        self.assertEqual(code, 0)
        self.assertIn("fine, 1 interface\n", said)
        self.assertEqual(self.call("handover")[1], "signal clatvisor * USR2\n")


class Netifd(ScriptTest):
    STUBS = """
INCLUDE_ONLY=1
json_get_vars() { :; }
proto_notify_error() { echo "error $*"; }
proto_block_restart() { echo "block $*"; }
proto_setup_failed() { echo "failed $*"; }
proto_export() { echo "export $*"; }
proto_run_command() { echo "run $*"; }
proto_kill_command() { echo "kill $*"; }
proto_config_add_string() { echo "option $*"; }
"""

    def call(self, function: str) -> str:
        script = self.write("handler", (FILES / "clatvisor.sh").read_text().replace("/usr/libexec/clatvisor/uci-to-yaml", f"dash {FILES}/uci-to-yaml"))
        done = self.both("-c", f"{self.STUBS}\n. {script}\n{function}")
        self.assertEqual(done.stderr, "")
        return done.stdout

    def test_the_handler(self) -> None:
        self.write("clatvisor", "config uplink 'wan'\n\toption interface 'wan6'\nconfig uplink 'lte'\n\toption interface 'lte6'\n")
        self.assertEqual(self.call("proto_clatvisor_init_config; echo $no_device $available"), "option uplink\noption zone\n1 1\n")
        # json_get_vars has set these.
        setup = "f() {{ local uplink={}; proto_clatvisor_setup clat; }}; uplink={} zone=wan; json_get_vars() {{ uplink={} zone=wan; }}; proto_clatvisor_setup clat"
        self.assertEqual(
            self.call(setup.format("wan", "wan", "wan")),
            "export INTERFACE=clat\nexport ZONE=wan\nrun clat /usr/libexec/clatvisor/netifd-follow v4-eth1\n",
        )
        self.assertEqual(self.call(setup.format("lte", "lte", "lte")), "error clat NO_WAN_LINK\nfailed clat\n")
        self.assertEqual(self.call(setup.format("''", "''", "''")), "error clat NO_UPLINK\nblock clat\n")
        self.assertEqual(self.call("proto_clatvisor_teardown clat"), "kill clat\n")

    def follow(self, shell: list[str], *words: str) -> subprocess.Popen:
        # busybox' shell would take its own ip rather than one in the PATH.
        ip = self.write("addresses-of", f"#!/bin/sh\ncat {self.uci}/addresses\n")
        ip.chmod(0o755)
        (self.uci / "v4-eth1").mkdir(exist_ok=True)
        environment = {
            **self.environment, "IP": str(ip), "PROC_NET_ROUTE": str(self.uci / "route"),
            "SYS_CLASS_NET": str(self.uci), "FOLLOW_EVERY": "0.05", "INTERFACE": "clat", "ZONE": "wan",
        }  # fmt: skip
        process = subprocess.Popen([*shell, FILES / "netifd-follow", "v4-eth1", *words], env=environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        end = threading.Timer(20, process.kill)  # nothing is waited for without an end
        end.start()
        self.addCleanup(end.cancel)
        return process

    UP = "update v4-eth1 up=1 external=1\naddress 192.0.0.4/32\ndata zone=wan\nsent for clat\n"
    ADDRESS = "7: v4-eth1    inet 192.0.0.4/32 scope global v4-eth1\n"
    NO_ROUTE = "Iface\tDestination\tGateway\tFlags\nbr-lan\t0001A8C0\t00000000\t0001\neth0\t00000000\t0101A8C0\t0003\n"
    ROUTE = NO_ROUTE + "v4-eth1\t00000000\t00000000\t0001\n"

    def replace(self, name: str, text: str) -> None:
        """Whole at any moment: it may just be read."""
        self.write(f"{name}.new", text).replace(self.uci / name)

    def test_it_follows_the_route(self) -> None:
        for shell in SHELLS:
            self.replace("route", self.NO_ROUTE)
            self.replace("addresses", self.ADDRESS)
            process = self.follow(shell)
            time.sleep(0.3)  # that nothing happens
            self.assertIsNone(process.poll())
            self.replace("route", self.ROUTE)
            self.assertEqual("".join(process.stdout.readline() for _ in range(4)), self.UP)
            self.assertIsNone(process.poll())
            self.replace("route", self.NO_ROUTE)
            self.assertEqual(process.wait(10), 0)
            self.assertEqual(process.stdout.read(), "")

    def test_without_a_route_it_follows_the_device(self) -> None:
        for shell in SHELLS:
            self.replace("route", self.NO_ROUTE)
            self.replace("addresses", "")
            process = self.follow(shell, "no-route")
            time.sleep(0.3)
            self.assertIsNone(process.poll())
            self.replace("addresses", self.ADDRESS)
            self.assertEqual("".join(process.stdout.readline() for _ in range(4)), self.UP)
            (self.uci / "v4-eth1").rmdir()
            self.assertEqual(process.wait(10), 0)


class From464xlat(ScriptTest):
    NETWORK = """config interface 'lan'
	option proto 'static'
config interface 'wan6'
	option proto 'dhcpv6'
config interface 'wwan6'
	option proto 'dhcpv6'
	option iface_464xlat '0'
"""

    def take_over(self, network: str) -> tuple[str, str]:
        for shell in SHELLS:
            self.write("network", network)
            self.write("clatvisor", "config clatvisor 'main'\n\toption enabled '1'\nconfig uplink 'wan'\n\toption interface 'wan6'\n")
            done = self.run_in(shell, FILES / "50-clatvisor")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            first = [(self.uci / name).read_text() for name in ("clatvisor", "network")]
            self.run_in(shell, FILES / "50-clatvisor")
            self.assertEqual(first, [(self.uci / name).read_text() for name in ("clatvisor", "network")], "a second time")
        return first[0], first[1]

    def test_its_settings(self) -> None:
        mine = "config interface 'clat'\n\toption proto '464xlat'\n\toption tunlink 'wan6'\n\toption ip6prefix '64:ff9b::/96'\n\toption ip6addr '2001:db8::c/128'\n\toption zone 'wan'\n"
        clatvisor, network = self.take_over(self.NETWORK + mine)
        self.assertEqual(
            clatvisor,
            "config clatvisor 'main'\n\toption enabled '1'\nconfig uplink 'clat'\n\toption interface 'wan6'\n"
            "\toption nat64_prefix '64:ff9b::/96'\n\toption ipv6_address '2001:db8::c'\n\toption when 'always'\n",
        )
        self.assertTrue(network.endswith("config interface 'clat'\n\toption proto 'clatvisor'\n\toption zone 'wan'\n\toption uplink 'clat'\n"), network)
        done = self.both(FILES / "uci-to-yaml")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_without_it(self) -> None:
        clatvisor, network = self.take_over(self.NETWORK)
        self.assertIn("config uplink 'wan'\n", clatvisor)
        self.assertEqual(network, self.NETWORK.replace("'wan6'\n\toption proto 'dhcpv6'\n", "'wan6'\n\toption proto 'dhcpv6'\n\toption iface_464xlat '0'\n", 1))


class Files(unittest.TestCase):
    SCRIPTS = ("uci-to-yaml", "clatvisor.init", "clatvisor.sh", "netifd-follow", "50-clatvisor")

    @unittest.skipUnless(shutil.which("shellcheck"), "no shellcheck here")
    def test_shellcheck(self) -> None:
        shims = (HERE / "lib").rglob("*.sh")
        done = subprocess.run(["shellcheck", *(FILES / name for name in self.SCRIPTS), *shims], capture_output=True, text=True)
        self.assertEqual(done.stdout, "")

    def test_capabilities_are_those_of_the_unit(self) -> None:
        unit = (ROOT / "config" / "init" / "clatvisor.service").read_text()
        wanted = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)[1].split()
        held = json.loads((FILES / "clatvisor.json").read_text())
        for name, capabilities in held.items():
            self.assertEqual(capabilities, [] if name in ("inheritable", "ambient") else wanted, name)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
