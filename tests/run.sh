#!/bin/bash
# Installs, builds, and runs tests. Ends with "N passed, N failed"; exit 0 only when none failed.
#
#   tests/run.sh --quick   the release build; unit tests, the BPF vectors, a dozen netns tests: under 6 minutes on two cores
#   tests/run.sh           every test: unit, bpf and netns, with the release build and again with the sanitizers'; the
#                          fuzzers for a minute: some 35 minutes on two cores
#   tests/run.sh --full    with ten times the rounds of every stress test
#
# BUILD_DIR (default: build/) holds the release build, BUILD_DIR-asan and BUILD_DIR-fuzz the others. ccache is used where it
# is installed. Needs root; all traffic stays in network namespaces of its own.
set -u -o pipefail
export PATH=$PATH:/usr/sbin:/sbin
root=$(cd "$(dirname "$0")/.." && pwd)
rounds=1 quick=
for argument; do
  case $argument in
    --full) rounds=10 ;;
    --quick) quick=yes ;;
    *) echo "usage: $0 [--quick|--full]" >&2; exit 64 ;;
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
  for job in $(jobs -p); do kill -- "-$job" 2>/dev/null; done
  wait
  "$root/tests/netns/run.py" --reap
  rm -rf "$scratch" ${own_build:+"$own_build" "$own_build-asan" "$own_build-fuzz"}
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In the background and waited for, so that a signal is handled at once; in a process group of its own, which then ends whole.
in_lane=
run() {
  [ -n "$in_lane" ] || set -m
  "$@" 8>&- &
  set +m
  wait $!
}

started=$SECONDS
run "$root/tests/deps.sh" || { echo "installing failed"; echo "0 passed, 1 failed"; exit 1; }

build=${BUILD_DIR:-$root/build}
mkdir -p "$build"
exec 8>"$build/.run.lock"
if ! flock -n 8; then
  build=$scratch/build own_build=$scratch/build
  echo "another run uses the build folder: building in $build"
fi

# Test programs mostly wait, so more of them at once than there are processors.
jobs=$((2 * $(nproc)))

make_build() {  # DIR TARGET CMAKE-OPTIONS...
  local dir=$1 target=$2 log
  shift 2
  log=$scratch/$(basename "$dir").log
  command -v ccache >/dev/null && set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  echo "== building $dir"
  run cmake -S "$root" -B "$dir" "$@" >"$log" 2>&1 || { cat "$log"; return 1; }
  run cmake --build "$dir" -j"$(nproc)" --target "$target" >"$log" 2>&1 || { grep -v '^\[' "$log" | tail -80; return 1; }
}

run_tests() {  # NAME DIR JOBS CTEST-OPTIONS...; every test is counted from ctest's own report
  local name=$1 dir=$2 jobs=$3
  shift 3
  echo "== $name tests"
  # In a folder of its own, so that two can use one build.
  mkdir -p "$scratch/ctest-$name"
  echo "subdirs(\"$dir\")" >"$scratch/ctest-$name/CTestTestfile.cmake"
  run ctest --test-dir "$scratch/ctest-$name" "$@" -j"$jobs" --no-tests=error --output-on-failure \
    --test-output-size-passed 100000 --output-junit "$scratch/$name.xml"
}

# A lane of its own beside the tests, which mostly wait: it has what they leave of the processors, until it is waited for.
declare -A lanes
beside() {  # NAME COMMAND...
  local name=$1
  shift
  set -m
  {
    set +m
    in_lane=yes
    trap - EXIT
    trap 'trap "" TERM; kill 0; exit 143' INT TERM HUP
    renice -n 10 $BASHPID >/dev/null
    "$@"
  } >"$scratch/$name.out" 2>&1 8>&- &
  lanes[$name]=$!
  set +m
}
join() {  # NAME
  renice -n 0 -g "${lanes[$1]}" >/dev/null 2>&1
  wait "${lanes[$1]}"
  local result=$?
  cat "$scratch/$1.out"
  return $result
}

build_asan() {
  make_build "$build-asan" all -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" -DCLATVISOR_SANITIZE=ON
}
compute() {  # yes when there is a release build
  [ -z "$1" ] || run_tests computes "$build" 2 -L '^computes$'
  make_build "$build-fuzz" fuzzers -DCMAKE_CXX_COMPILER=clang++-19 -DCLATVISOR_FUZZERS=ON || return 1
  renice -n 0 $BASHPID >/dev/null  # these have so much time, not so much work
  run_tests fuzz "$build-fuzz" 1 -L '^fuzz$'
  return 0  # what failed is in the report
}

export CLATVISOR_TEST_ROUNDS=$rounds
failed_builds=0 built='' built_asan=''
if [ -n "$quick" ]; then
  export CLATVISOR_TEST_ROUNDS=0.1
  if make_build "$build" quick -DCMAKE_BUILD_TYPE=Release; then
    run_tests release "$build" "$jobs" -L '^quick$'
  else
    failed_builds=1
  fi
else
  make_build "$build" all -DCMAKE_BUILD_TYPE=Release && built=yes || failed_builds=1
  beside asan-build build_asan
  if [ -n "$built" ]; then
    run_tests release "$build" "$jobs" -L '^(unit|bpf|netns)$' -LE '^computes$'
    echo "== unit tests as an unprivileged user"
    run "$root/tests/netns/run.py" --unprivileged "$build" "$scratch/unprivileged.xml"
  fi
  join asan-build && built_asan=yes || failed_builds=$((failed_builds + 1))
  beside compute compute "$built"
  if [ -n "$built_asan" ]; then
    export CLATVISOR_TEST_SLOW=3
    [ "$rounds" != 1 ] || export CLATVISOR_TEST_ROUNDS=0.1
    run_tests asan "$build-asan" "$jobs" -L '^(unit|bpf|netns)$'
  fi
  join compute || failed_builds=$((failed_builds + 1))
fi

echo "== $((SECONDS - started)) s in all"
run "$root/tests/netns/run.py" --summary "$failed_builds" "$scratch"/*.xml
