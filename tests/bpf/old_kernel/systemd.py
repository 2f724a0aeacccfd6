#!/usr/bin/env python3
"""The unit as systemd runs it, in the guest: systemd.py BUILD_FOLDER.

What `cmake --install` installs is started, reloaded, killed, handed over and stopped by systemctl, with pings through the CLAT.
"""
import pathlib
import shlex
import sys

import guest

SOURCE = pathlib.Path(__file__).resolve().parents[3]

SCRIPT = r"""
set -u
failed=0
step() { echo "== $1 at $SECONDS s"; }
bad() { echo "FAIL $1"; failed=1; systemctl status --no-pager --full clatvisor | head -40; }
within() { # SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { bad "$what"; return 1; }
    sleep 0.2
  done
  echo "ok   $what"
}
status() { systemctl show --property=StatusText --value clatvisor; }
says() { case $(status) in *"$1"*) ;; *) return 1 ;; esac; }
main() { systemctl show --property=MainPID --value clatvisor; }
another_main() { [ "$(main)" != 0 ] && [ "$(main)" != "$1" ]; }
echo_back() { ping -4 -n -q -c 1 -W 2 192.0.2.33; }

step "installing"
cmake --install "$BUILD" >/dev/null || bad "cmake --install"
config=$(sed -n 's/.*--config \(\S*\)$/\1/p' /usr/local/lib/systemd/system/clatvisor.service)
systemd-sysusers || bad "systemd-sysusers"

# An uplink, and behind it an address in the NAT64 prefix that answers by itself.
ip netns add plat
ip link add wan0 type veth peer name far netns plat
ip -n plat address add 2001:db8:1::1/64 dev far nodad
ip -n plat address add 64:ff9b::192.0.2.33/128 dev lo
ip -n plat link set lo up
ip -n plat link set far up
ip link set wan0 up
ip address add 2001:db8:1::2/64 dev wan0 nodad
ip route add default via 2001:db8:1::1 dev wan0
printf 'interfaces:\n  wan0: {nat64-prefix: 64:ff9b::/96, fast-path: required}\n' >"$config"

step "start"
systemctl daemon-reload
systemctl start clatvisor || bad "systemctl start"
within 60 "IPv4 is up" says "1 of 1 uplinks up"
within 20 "a ping comes back" echo_back
read -r clatd <"/proc/$(main)/task/$(main)/children"
grep -q "^Uid:\s$(id -u clatvisor)\s" "/proc/$clatd/status" || bad "clatd runs as another user"
grep -q '^Seccomp:\s*2' "/proc/$(main)/status" || bad "no seccomp filter"

step "reload"
systemctl reload clatvisor || bad "systemctl reload"
cp "$config" /tmp/good
echo 'interfaces: 7' >"$config"
! systemctl reload clatvisor || bad "reload of a broken file went well"
within 10 "its place is in the journal" eval "journalctl -u clatvisor -o cat | grep -A 2 'clatvisor.yaml:1:13: error:' | grep -q '^            ^'"
within 20 "a broken file is refused" says "the config file was refused, line 1"
cp /tmp/good "$config"
systemctl reload clatvisor || bad "systemctl reload"
within 20 "a good one is taken" says "1 of 1 uplinks up"
case $(status) in *refused*) bad "still refused" ;; esac

step "metrics"
systemctl start clatvisor-metrics.socket || bad "the socket for metrics"
for _ in 1 2; do
  curl --silent --max-time 20 'http://[::1]:9464/metrics' | grep -q '^clatvisor_interface_up{interface="wan0"} 1' || bad "metrics over HTTP"
done
systemctl stop clatvisor-metrics.socket
mkdir -p /var/lib/prometheus/node-exporter
systemctl start clatvisor-textfile.service || bad "the textfile"
grep -q '^clatvisor_interface_up{interface="wan0"} 1' /var/lib/prometheus/node-exporter/clatvisor.prom || bad "metrics in a file"

step "kill -9"
before=$(main)
kill -KILL "$before"
within 20 "started again" another_main "$before"
within 60 "IPv4 is up again" says "1 of 1 uplinks up"
within 20 "a ping comes back" echo_back

step "handover, with a ping every 100 ms"
before=$(main)
ping -4 -n -q -i 0.1 -c 100 -W 5 192.0.2.33 >/tmp/pings &
pings=$!
sleep 1
systemctl kill --kill-whom=main --signal=USR2 clatvisor
within 20 "another one runs" another_main "$before"
within 60 "IPv4 is up" says "1 of 1 uplinks up"
wait $pings
grep -q ' 0% packet loss' /tmp/pings && echo "ok   no ping was lost" || bad "$(cat /tmp/pings)"

step "stop"
systemctl stop clatvisor || bad "systemctl stop"
! ip link show v4-wan0 2>/dev/null || bad "the tun is left"
[ -z "$(ls /sys/fs/bpf/clatvisor 2>/dev/null)" ] || bad "pins are left"

exit $failed
"""


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    cache = build / "old_kernel"
    cache.mkdir(exist_ok=True)
    return guest.run(cache, f"BUILD={shlex.quote(str(build))}\ncd {shlex.quote(str(SOURCE))}\n{SCRIPT}", 1200, systemd=True)


if __name__ == "__main__":
    sys.exit(main())
