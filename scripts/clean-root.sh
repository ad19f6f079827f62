#!/bin/sh
# clean-root.sh: installs and runs the npm package in a root file system of its own: Debian's essential packages and
# libbpf, and libstdc++ for Node; no compiler, nothing of this machine (test/e2e/package.test.ts does so, with HOPSPAN_CLEAN_ROOT).
# As root; takes some minutes and 500 MB in .cache/clean-root, which is kept for the next time.
# Exit: the tests' own; 3 when there is no such root to be had.
set -eu
cd "$(dirname "$0")/.."
root=$PWD/.cache/clean-root/${SUITE:=trixie}

command -v mmdebstrap >/dev/null 2>&1 || {
  echo "clean-root: mmdebstrap is missing; install it: apt-get install mmdebstrap." >&2
  exit 3
}
if [ ! -e "$root.complete" ]; then
  rm -rf "$root"
  mkdir -p "$(dirname "$root")"
  mmdebstrap --quiet --variant=essential --include=libbpf1,libstdc++6 "$SUITE" "$root" >&2 || {
    echo "clean-root: no $SUITE to be had from Debian's mirror; try another one with SUITE=bookworm." >&2
    exit 3
  }
  touch "$root.complete"
fi
for node in node_modules/node-linux-*/bin/node; do
  HOPSPAN_CLEAN_ROOT=$root exec "$node" scripts/test.ts test/e2e/package.test.ts
done
