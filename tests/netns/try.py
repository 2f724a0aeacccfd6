#!/usr/bin/env python3
"""The demonstration of tests/try.sh. Exit status 0: everything held."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
os.environ["PATH"] += ":/usr/sbin:/sbin"

from harness import snapshot  # noqa: E402  (after the path)
from harness.clatvisor import BIN, ROOT, Clatvisor  # noqa: E402
from harness.lab import SPARE0, WAN0, WWAN0, Lab, exit_on_signals, wait_until  # noqa: E402
from harness.traffic import Bulk, Client  # noqa: E402

# The shipped example uses /run/clatvisor and /sys/fs/bpf: its own ones, in a private mount namespace.
PRIVATE_MOUNTS = (
    "unshare", "--mount", "sh", "-c",
    'mount -t tmpfs none /run && { mountpoint -q /sys/fs/bpf || mkdir -p /sys/fs/bpf; mount -t bpf none /sys/fs/bpf; } && exec "$@"',
    "sh",
)  # fmt: skip
FILE = bytes(range(256)) * 40960  # 10 MiB

PICTURE = """
   LAN client          router              IPv6 only            NAT64             IPv4 only
  192.168.7.2 ----- [clatvisor] ===wan0=== 64:ff9b::/96 ------- (tayga) -------- 192.175.48.2
   IPv4 only         v4-wan0    ==wwan0=== 2001:db8:64::/96 --- (tayga) -----/
                     v4-wwan0
"""


class Held:
    """Counts what held and what did not, in words."""

    def __init__(self) -> None:
        self.failures = 0
        self.before: dict[str, object] = {}  # the router before the start

    def step(self, title: str) -> None:
        print(f"\n{title}", flush=True)

    def say(self, good: object, text: str) -> None:
        print(f"  {'ok  ' if good else 'FAIL'} {text}", flush=True)
        self.failures += not good

    def tell(self, text: str) -> None:
        print(f"       {text}", flush=True)

    def attempt(self, text: str, action, *arguments, **options) -> None:
        try:
            action(*arguments, **options)
        except (AssertionError, OSError) as error:
            self.say(False, f"{text}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        else:
            self.say(True, text)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(FILE)))
        self.end_headers()
        self.wfile.write(FILE)

    def log_message(self, *_: object) -> None:
        pass


def serve_http(lab: Lab) -> None:
    server = http.server.ThreadingHTTPServer((lab.server_v4, 80), Page, bind_and_activate=False)
    server.socket.close()
    server.socket = lab.server.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # server_bind() would look up its own name.
    server.socket.bind((lab.server_v4, 80))
    server.server_activate()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lab.on_close(server.server_close)
    lab.on_close(server.shutdown)


def curl(lab: Lab) -> None:
    target = lab.scratch / "download"
    lab.lan.run("curl", "-sS", "--fail", "--max-time", "30", "-o", str(target), f"http://{lab.server_v4}/")
    if hashlib.sha256(target.read_bytes()).digest() != hashlib.sha256(FILE).digest():
        raise AssertionError("other bytes than the server's")


def ping(client: Client, host: str, size: int = 56) -> None:
    answers = client.ping(host, size=size)
    if answers != 3:
        raise AssertionError(f"{answers} of 3 answers")


def with_third_uplink(text: str) -> str:
    """The shipped file, edited as an operator would: one more interface at the end of its section."""
    lines = text.splitlines(keepends=True)
    at = lines.index("interfaces:\n") + 1
    while lines[at].isspace() or lines[at].startswith(" "):
        at += 1
    lines[at:at] = [f"  {SPARE0.name}:\n", f"    nat64-prefix: {SPARE0.prefix}\n", "\n"]
    return "".join(lines).replace("health-interval: 60s", "health-interval: 1s")


def show_counters(held: Held, program: Clatvisor) -> None:
    since = program.mark()
    for name in (WAN0.name, WWAN0.name):
        line = program.wait_event("health", name, since=since, count=2)
        fast, slow = (
            sum(int(value) for key, value in line.fields.items() if key.startswith(path) and key.endswith("packets"))
            for path in ("fast_", "slow_")
        )
        held.say(fast > 10 * slow > 0, f"{name}: {fast} packets on the fast path, {slow} through clatd")


def clatctl(program: Clatvisor, *words: str, code: int = 0) -> list[str]:
    """Its lines; it finds the socket where clatvisor sees it."""
    done = subprocess.run(
        ["nsenter", f"--target={program.pid}", "--mount", str(BIN / "clatctl"), *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
    )  # fmt: skip
    if done.returncode != code:
        raise AssertionError(f"clatctl {' '.join(words)}: exit {done.returncode}: {done.stdout}")
    return done.stdout.splitlines()


def demonstrate(held: Held, lab: Lab) -> Clatvisor:
    print(PICTURE)
    print("Everything is in network namespaces; between router and NAT64 there is no IPv4.")
    serve_http(lab)
    lab.serve()
    lan = Client(lab.lan)
    held.before = snapshot.take(lab.router, lab.bpffs)

    held.step("Without clatvisor the LAN client has no way to 192.175.48.2:")
    held.say(lan.ping(lab.server_v4, count=1, wait=1) == 0, "a ping is not answered")

    held.step("clatvisor starts with the shipped config/clatvisor.yaml:")
    program = Clatvisor(lab, wrap=PRIVATE_MOUNTS)
    shutil.copy(ROOT / "config" / "clatvisor.yaml", program.config_file)
    begin = time.monotonic()
    program.start()
    for uplink in (WAN0, WWAN0):
        program.wait_event("clat.ready", uplink.name)
        up = program.wait_event("clat.up", uplink.name)
        held.say(True, f"{uplink.name}: {up['v4']} over {up['v6']}, prefix {up['prefix']}, path {up.fields.get('path', '?')},"
                       f" {up.at - begin:.2f} s after the start")  # fmt: skip
    pids = {uplink.name: program.wait_clatd(uplink.name) for uplink in (WAN0, WWAN0)}

    held.step("IPv4 by literal address, from the LAN client and from the router over each uplink:")
    held.attempt("LAN client: ping 192.175.48.2, 3 of 3", ping, lan, lab.server_v4)
    held.attempt("LAN client: curl http://192.175.48.2/, 10 MiB, the same SHA-256 as the server's", curl, lab)
    held.attempt("LAN client: a UDP question and its answer", lan.udp_echo, lab.server_v4)
    for uplink in (WAN0, WWAN0):
        held.attempt(f"router over {uplink.name}: ping", ping, lab.client(uplink), lab.server_v4)
        # Not through TAYGA, which drops fragments of ICMP.
        held.attempt(f"router over {uplink.name}: ping of 4000 bytes", ping, lab.client(uplink), lab.direct_v4, 4000)
        held.attempt(f"router over {uplink.name}: TCP and UDP", lambda u=uplink: (
            lab.client(u).tcp_echo(lab.server_v4), lab.client(u).udp_echo(lab.server_v4)))  # fmt: skip

    held.step("Which packets took the fast path? clatd-wan0 is stopped (SIGSTOP), so only the kernel's programs translate:")
    os.kill(pids["wan0"], signal.SIGSTOP)
    try:
        held.attempt("TCP still flows: the fast path carries it", lan.tcp_echo, lab.server_v4)
        held.attempt("UDP still flows: the fast path carries it", lan.udp_echo, lab.server_v4)
        held.attempt("ping still flows: the fast path carries it", ping, lan, lab.server_v4)
        waits = lan.ping(lab.direct_v4, count=2, size=4000, wait=1) == 0
        held.say(waits, "a ping of 4000 bytes waits: to translate its fragments takes a memory, and clatd has it")
    finally:
        os.kill(pids["wan0"], signal.SIGCONT)
    held.attempt("clatd-wan0 goes on, and so does that ping", wait_until,
                 lambda: lan.ping(lab.direct_v4, 1, size=4000, wait=1), 10, "ping")  # fmt: skip

    held.step("clatctl looks inside:")
    for line in clatctl(program):
        held.tell(line)
    for line in clatctl(program, "status", WAN0.name):
        held.tell(line)

    held.step("kill -9 of clatd-wan0 in the middle of a download:")
    download = Bulk(lan, lab.server_v4)
    download.wait_bytes(20_000_000)
    since = program.mark()
    os.kill(pids["wan0"], signal.SIGKILL)
    ready = program.wait_event("clat.ready", "wan0", since=since)
    download.wait_bytes(20_000_000)
    pause = download.finish()
    held.say(pause < 1, f"{download.total() / 1e6:.0f} MB arrived; the longest pause was {pause * 1000:.0f} ms")
    exited = program.wait_event("clat.exited", "wan0", since=since)
    held.say(True, f"a new clatd was reading {(ready.at - exited.at) * 1000:.0f} ms after the death of the old one")
    held.attempt("ping of 4000 bytes works again", ping, lan, lab.direct_v4, 4000)
    pids["wan0"] = program.wait_clatd("wan0")

    held.step("A third uplink is added to the file, and SIGHUP sent:")
    program.reload(with_third_uplink(program.config_file.read_text()))
    program.wait_up(SPARE0.name)
    held.attempt(f"IPv4 works over {SPARE0.name}", lab.client(SPARE0).tcp_echo, lab.server_v4)
    for name, pid in pids.items():
        held.say(program.wait_clatd(name) == pid, f"{name} kept its clatd, pid {pid}")
    held.attempt("and its traffic", lan.tcp_echo, lab.server_v4)

    held.step("A slip in the file is refused, in its place, and nothing changes:")
    good = program.config_file.read_text()
    program.write_config(good.replace("health-interval", "health-intervall"))
    for line in clatctl(program, "reload", code=78):
        held.tell(line.replace(str(program.config_file), program.config_file.name))
    program.write_config(good)
    held.attempt("put right, it is accepted", clatctl, program, "reload")

    held.step("The health lines (the edit made them come each second) count packets by path:")
    show_counters(held, program)
    return program


def stop(held: Held, lab: Lab, program: Clatvisor) -> None:
    held.step("clatvisor is stopped (SIGTERM):")
    took = program.stop()
    held.say(True, f"exit status 0 after {took:.2f} s")
    left: list[str] = []

    def nothing() -> bool:
        left[:] = snapshot.differences(held.before, snapshot.take(lab.router, lab.bpffs))
        return not left

    with contextlib.suppress(AssertionError):
        wait_until(nothing, 3, "nothing is left", every=0.1)
    held.say(not left, "interfaces, addresses, routes, neighbour entries, filters, sysctls, processes are as before the start")
    for line in left:
        held.tell(line)


def how_to_look_around(lab: Lab, program: Clatvisor) -> str:
    router, lan = (f"nsenter --net={namespace.path}" for namespace in (lab.router, lab.lan))
    return f"""
The sandbox stays up. To look around:
  {lan} ping {lab.server_v4}                            as the LAN client
  {lan} curl -o /dev/null http://{lab.server_v4}/
  {router} ip address                                   the router
  tail -f {program.log_file}
  nsenter --target={program.pid} --mount ls -R /run/clatvisor /sys/fs/bpf    its state and pins
  nsenter --target={program.pid} --mount {BIN / "clatctl"}    how everything is
  kill -HUP {program.pid}                               after an edit of {program.config_file}
To end it and remove everything:
  kill {os.getpid()}"""


def run(keep: bool) -> tuple[int, Lab, Held]:
    held = Held()
    lab = Lab((WAN0, WWAN0, SPARE0), lan=True)
    try:
        program = demonstrate(held, lab)
        if keep:
            print(how_to_look_around(lab, program), flush=True)
        else:
            stop(held, lab, program)
    except (AssertionError, OSError) as error:
        held.say(False, str(error))
    return (1 if held.failures else 0), lab, held


def main() -> int:
    exit_on_signals()
    keep = sys.argv[1:] == ["--keep"]
    status, lab, held = run(keep)
    if not keep:
        lab.close()
    print("\nEverything held." if status == 0 else f"\n{held.failures} things did not hold.", flush=True)
    return status


def main_keep() -> int:
    """A process of its own owns the sandbox; this one returns as soon as the demonstration is over."""
    done, tell = os.pipe()
    owner = os.fork()
    if owner:
        os.close(tell)
        try:
            status = os.read(done, 1)
        except KeyboardInterrupt:
            os.waitpid(owner, 0)
            return 130
        return status[0] if status else 1
    status = main()
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.write(tell, bytes([status]))
    os.close(tell)
    while True:  # until a signal ends it, by an exception that lets the laboratory clean up
        signal.pause()


if __name__ == "__main__":
    sys.exit(main_keep() if "--keep" in sys.argv[1:] else main())
