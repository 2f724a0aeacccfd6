#!/bin/sh
# Builds the Debian package, in a copy of the tree with config/debian at debian/, and has lintian look at it if it is there.
#
#   tests/package.sh [FOLDER]    where the packages go; default: build/packages
#
# Needs debhelper, dpkg-dev and what control lists (`apt-get build-dep` takes the copy); as any user.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/build/packages}
mkdir -p "$out"
out=$(cd "$out" && pwd)

missing=
for package in debhelper dpkg-dev; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "$0: not installed:$missing" >&2
  exit 71
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# What the repository holds, as it lies there.
mkdir "$scratch/clatvisor"
(cd "$root" && git ls-files -z | xargs -0 cp --parents -t "$scratch/clatvisor")
mv "$scratch/clatvisor/config/debian" "$scratch/clatvisor/debian"

cd "$scratch/clatvisor"
dpkg-buildpackage --build=binary --unsigned-changes
cd ..
dpkg-deb --contents clatvisor_*.deb
if command -v lintian >/dev/null; then
  lintian --fail-on error,warning clatvisor_*.changes
fi
for package in *.deb *.changes *.buildinfo; do
  if [ -e "$package" ]; then mv "$package" "$out/"; fi
done
echo "in $out: $(cd "$out" && ls)"
