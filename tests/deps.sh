#!/bin/sh
# Installs what clatvisor needs from Debian 12's packages, and nothing else.
#
#   tests/deps.sh            to build, and to run the tests and try.sh
#   tests/deps.sh --build    to build the programs alone (cmake -DCLATVISOR_TESTS=OFF)
#   tests/deps.sh --lint     also clang-tidy and clang-format
#
# With everything installed it needs neither network nor root.
set -eu
PATH=$PATH:/usr/sbin:/sbin

# g++ brings binutils, libbpf-dev brings libelf and zlib. clang compiles the BPF object, llvm-strip (llvm-19) takes out
# its DWARF.
build='g++ make cmake pkgconf clang-19 llvm-19 libbpf-dev linux-libc-dev libuv1-dev libspdlog-dev libyaml-dev libmnl-dev
       libc-ares-dev'
# libclang-rt is libFuzzer; tayga the NAT64; iperf3 the load of tests/bench; curl the download of try.sh; g++-mips, qemu
# and googletest (its source) are for tests/cross; qemu-system and busybox for tests/bpf/old_kernel, busybox also for
# tests/openwrt; systemd looks at the unit.
tests='ccache libgtest-dev libclang-rt-19-dev python3 bpftool iproute2 nftables iputils-ping traceroute strace util-linux tayga iperf3
       curl g++-mips-linux-gnu qemu-user-static googletest qemu-system-x86 busybox-static systemd'
lint='clang-tidy-19 clang-format-19'

wanted="$build $tests"
for argument; do
  case $argument in
    --build) wanted=$build ;;
    --lint) wanted="$wanted $lint" ;;
    *) echo "usage: $0 [--build] [--lint]" >&2; exit 64 ;;
  esac
done

missing() {
  for package in $wanted; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
      installed*) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

[ -n "$(missing)" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "$0: not installed, and only root can: $(missing)" >&2
  exit 71
fi

# One at a time: two runs at once would fail on apt's locks.
exec 9>/run/lock/clatvisor-deps.lock
flock 9
packages=$(missing)
[ -n "$packages" ] || exit 0
echo "installing: $packages"

export DEBIAN_FRONTEND=noninteractive
export RUNLEVEL=1  # invoke-rc.d starts no service there: tayga's package would
apt() {
  apt-get -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" 9>&-
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for attempt in 1 2 3; do
  # shellcheck disable=SC2086  # words are wanted
  if apt update >"$log" 2>&1 && apt install --no-install-recommends -y $packages >"$log" 2>&1; then
    exit 0
  fi
  echo "attempt $attempt failed" >&2
done
cat "$log" >&2
exit 1
