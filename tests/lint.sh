#!/bin/sh
# Format of everything in C and C++, and clang-tidy over what is shipped, as .clang-format and .clang-tidy want it.
#
#   tests/lint.sh [BUILD_DIR]    BUILD_DIR (default: build/): a configured build, for its compile_commands.json
#
# Needs what `tests/deps.sh --lint` installs. Exit 0: nothing to say.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}
cd "$root"
[ -e "$build/compile_commands.json" ] || { echo "$0: $build: no compile_commands.json; configure it first" >&2; exit 64; }
git ls-files '*.cpp' '*.hpp' '*.c' '*.h' | xargs clang-format-19 --dry-run -Werror
git ls-files 'core/*.cpp' 'bpf/*.cpp' 'config/*.cpp' 'supervisor/*.cpp' | xargs -P 2 -n 4 clang-tidy-19 -p "$build" --quiet

