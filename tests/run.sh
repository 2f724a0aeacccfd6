#!/bin/bash
# Installs, builds, and runs every test: unit, bpf and netns, with the release build and again with the sanitizers';
# then the fuzzers for a minute.
#
#   tests/run.sh          some 35 minutes on two cores
#   tests/run.sh --full   with ten times the rounds of every stress test
#
# BUILD_DIR (default: build/) holds the release build, BUILD_DIR-asan and BUILD_DIR-fuzz the others. Needs root; all
# traffic stays in network namespaces of its own. Ends with "N passed, N failed"; exit 0 only when none failed.
set -u -o pipefail
export PATH=$PATH:/usr/sbin:/sbin
root=$(cd "$(dirname "$0")/.." && pwd)
rounds=1
for argument; do
  case $argument in
    --full) rounds=10 ;;
    *) echo "usage: $0 [--full]" >&2; exit 64 ;;
  esac
done
if [ "$(id -u)" != 0 ]; then
  echo "$0: needs root: network namespaces, tun devices and BPF" >&2
  exit 71
fi

scratch=$(mktemp -d /tmp/clatvisor-run.XXXXXX)
chmod 755 "$scratch"
own_build=
cleanup() {
  trap - EXIT
  trap '' INT TERM HUP
  jobs -p | xargs -r kill 2>/dev/null
  wait
  "$root/tests/netns/run.py" --reap
  rm -rf "$scratch" ${own_build:+"$own_build" "$own_build-asan" "$own_build-fuzz"}
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In the background and waited for, so that a signal is handled at once.
run() { "$@" 8>&- & wait $!; }

started=$SECONDS
run "$root/tests/deps.sh" || { echo "installing failed"; echo "0 passed, 1 failed"; exit 1; }

build=${BUILD_DIR:-$root/build}
mkdir -p "$build"
exec 8>"$build/.run.lock"
if ! flock -n 8; then
  build=$scratch/build own_build=$scratch/build
  echo "another run uses the build folder: building in $build"
fi

make_build() {  # DIR TARGET CMAKE-OPTIONS...
  local dir=$1 target=$2
  shift 2
  echo "== building $dir"
  run cmake -S "$root" -B "$dir" "$@" >"$scratch/configure.log" 2>&1 || { cat "$scratch/configure.log"; return 1; }
  run cmake --build "$dir" -j2 --target "$target" >"$scratch/build.log" 2>&1 ||
    { grep -v '^\[' "$scratch/build.log" | tail -80; return 1; }
}

run_tests() {  # NAME DIR LABELS; every test is counted from ctest's own report
  local name=$1 dir=$2 labels=$3
  echo "== $name tests"
  run ctest --test-dir "$dir" -L "^($labels)\$" -j2 --no-tests=error --output-on-failure \
    --test-output-size-passed 100000 --output-junit "$scratch/$name.xml" 8>&-
}

export CLATVISOR_TEST_ROUNDS=$rounds
failed_builds=0
if make_build "$build" all -DCMAKE_BUILD_TYPE=Release; then
  run_tests release "$build" "unit|bpf|netns"
  echo "== unit tests as an unprivileged user"
  run "$root/tests/netns/run.py" --unprivileged "$build" "$scratch/unprivileged.xml"
else
  failed_builds=1
fi
if make_build "$build-asan" all -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g" -DCLATVISOR_SANITIZE=ON; then
  export CLATVISOR_TEST_SLOW=3
  [ "$rounds" != 1 ] || export CLATVISOR_TEST_ROUNDS=0.1
  run_tests asan "$build-asan" "unit|bpf|netns"
else
  failed_builds=$((failed_builds + 1))
fi
if make_build "$build-fuzz" fuzzers -DCMAKE_CXX_COMPILER=clang++-19 -DCLATVISOR_FUZZERS=ON; then
  run_tests fuzz "$build-fuzz" fuzz
else
  failed_builds=$((failed_builds + 1))
fi

echo "== $((SECONDS - started)) s in all"
run "$root/tests/netns/run.py" --summary "$failed_builds" "$scratch"/*.xml
