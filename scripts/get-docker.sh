#!/bin/sh
# Brings a Docker engine with compose and buildx for the test of the containers, and prints the folder that holds it:
# `engine`, the files of Debian's packages, of which only usr/ is used, and `bookworm.tar`, a small Debian from which images are made where no registry
# is in reach. Nothing is installed on this machine but mmdebstrap, which fetches them, and nothing is started.
# Kept in ${HOPSPAN_CACHE:-<checkout>/.cache}/docker-SUITE; a second run only prints the path.
# Exit: 0 it is there, 4 this machine cannot have it (said on stderr), 1 the download failed.
set -eu

suite=trixie # the first Debian whose Docker gives containers CAP_BPF
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
# python3 and curl are for the commands of docs/quickstart.md, apparmor for engines on kernels that have it.
packages=docker.io,docker-cli,docker-compose,docker-buildx,iptables,slirp4netns,iproute2,apparmor,bash,dash,coreutils,util-linux,grep,sed,curl,python3

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=${HOPSPAN_CACHE:-$root/.cache}/docker-$suite

if [ -e "$folder/bookworm.tar" ] && [ -e "$folder/engine/usr/sbin/dockerd" ]; then
  echo "$folder"
  exit 0
fi

fail() {
  echo "get-docker: $1" >&2
  exit 4
}
[ "$(id -u)" = 0 ] || fail "a Docker engine needs root; run this as root."
[ -L /lib64 ] || fail "the engine's /usr takes the place of this machine's, which needs /lib64 to be a link into /usr."
if ! command -v mmdebstrap >/dev/null 2>&1; then
  command -v apt-get >/dev/null 2>&1 || fail "mmdebstrap and Debian's archive keys are needed: install the packages mmdebstrap and debian-archive-keyring."
  echo "get-docker: installing mmdebstrap" >&2
  install() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring >&2; }
  install || { apt-get update >&2 && install; } || fail "mmdebstrap could not be installed."
fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/.download.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

fetch() {
  mmdebstrap --quiet --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"' \
    --aptopt='APT::Install-Recommends "false"' "$@" "$mirror" >&2
}
echo "get-docker: fetching Docker's packages of Debian $suite" >&2
fetch --variant=extract --include="$packages" "$suite" "$work/engine"
echo "get-docker: fetching a small Debian bookworm" >&2
fetch --variant=minbase --include=ca-certificates bookworm "$work/bookworm.tar"
rm -rf "$folder/engine"
# The tar last: it says that all is there.
mv "$work/engine" "$folder/engine"
mv "$work/bookworm.tar" "$folder/bookworm.tar"
echo "$folder"
