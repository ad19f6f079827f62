#!/bin/sh
# Brings a Docker engine with compose and buildx for the test of the containers, and prints the folder that holds it:
# `engine`, files of Debian's packages, and `bookworm.tar`, a small Debian to make images of where no registry is asked.
# Installs nothing on this machine but mmdebstrap, which fetches them, and starts nothing.
# Kept in ${HOPSPAN_CACHE:-<checkout>/.cache}/docker-SUITE; a second run only prints the path.
# Exit: 0 it is there, 4 this machine cannot have or run it (said on stderr), 1 the download failed.
set -eu

suite=trixie # the first Debian whose Docker knows CAP_BPF
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
# What the engine and its network need, and what the commands of docs/quickstart.md do.
packages=docker.io,docker-cli,docker-compose,docker-buildx,iptables,slirp4netns,iproute2,apparmor
packages=$packages,bash,dash,coreutils,util-linux,grep,sed,curl,python3

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=${HOPSPAN_CACHE:-$root/.cache}/docker-$suite

fail() {
  echo "get-docker: $1" >&2
  exit 4
}
[ "$(id -u)" = 0 ] || fail "a Docker engine needs root; run this as root."
[ -L /lib64 ] || fail "the engine's /usr takes the place of this machine's, whose /lib64 has to be a link into it."
[ -c /dev/net/tun ] || fail "the engine's network needs /dev/net/tun: load the module tun."
unshare --net --mount true || fail "namespaces cannot be made here; in a container, run it with --privileged."

if [ -e "$folder/bookworm.tar" ] && [ -e "$folder/engine/usr/sbin/dockerd" ]; then
  echo "$folder"
  exit 0
fi

if ! command -v mmdebstrap >/dev/null 2>&1; then
  command -v apt-get >/dev/null 2>&1 || fail "install mmdebstrap and Debian's archive keys."
  echo "get-docker: installing mmdebstrap" >&2
  export DEBIAN_FRONTEND=noninteractive
  install() { apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring >&2; }
  install || { apt-get update >&2 && install; } || fail "mmdebstrap cannot be installed."
fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/.download.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

fetch() {
  mmdebstrap --quiet --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"' \
    --aptopt='APT::Install-Recommends "false"' "$@" "$mirror" >&2
}
echo "get-docker: fetching Docker of Debian $suite, and a small Debian bookworm" >&2
fetch --variant=minbase --include=ca-certificates bookworm "$work/bookworm.tar" &
fetch --variant=extract --include="$packages" "$suite" "$work/engine" || { kill $! && exit 1; }
wait $!
# Its programs and their libraries; the rest is this machine's.
rm -rf "$folder/engine"
mkdir "$folder/engine"
mv "$work/engine/usr" "$folder/engine/usr"
# The tar last: it says that all is there.
mv "$work/bookworm.tar" "$folder/bookworm.tar"
echo "$folder"
