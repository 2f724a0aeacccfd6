#!/bin/sh
# Shows clatvisor at work, in network namespaces of its own, in a few minutes: installs what it needs (apt), builds, and
# tells each step in plain words. Exit 0: everything held. Needs root.
#
#   tests/try.sh           and nothing is left afterwards
#   tests/try.sh --keep    leaves the sandbox up, and says how to look around and how to end it
#
# BUILD_DIR (default: build/) is where it builds.
set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$(cd "$(dirname "$0")/.." && pwd)
case ${*:-} in
  '' | --keep) ;;
  *) echo "usage: $0 [--keep]" >&2; exit 64 ;;
esac
if [ "$(id -u)" != 0 ]; then
  echo "$0: needs root: network namespaces, tun devices and BPF" >&2
  exit 71
fi

"$root/tests/deps.sh"

build=${BUILD_DIR:-$root/build}
mkdir -p "$build"
echo "building in $build ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
(
  flock 8  # another run may be building
  # A folder that was configured with the tests keeps them; the demonstration needs the programs alone.
  [ -e "$build/CMakeCache.txt" ] || cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release 8>&-
  cmake --build "$build" -j2 --target clatvisor clatd clatctl 8>&-
) 8>"$build/.run.lock" >"$log" 2>&1 || { tail -50 "$log" >&2; echo "the build failed" >&2; exit 1; }

CLATVISOR_BIN=$build/bin "$root/tests/netns/try.py" "$@"
