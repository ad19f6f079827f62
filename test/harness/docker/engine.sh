#!/bin/bash
# engine.sh FOLDER STATE NAME: becomes a Docker engine whose programs lie in FOLDER/usr, whose data and socket in STATE,
# and whose containers are in the control group NAME. To be run as root in a network and a mount namespace of its own;
# says "waiting for tap0", which slirp4netns has to bring.
set -eu
folder=$1 state=$2 name=$3

# One hierarchy of version 2, as today's distributions have it; some machines have it beside those of version 1.
if [ "$(stat --file-system --format %T /sys/fs/cgroup)" != cgroup2fs ]; then
  umount --recursive /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
# Programs and their libraries in the place of this machine's, which stay what they are outside of this namespace.
mount --bind "$folder/usr" /usr
hash -r
export PATH=$state/bin:/usr/sbin:/usr/bin
mkdir -p "$state/bin"
# What update-alternatives makes when iptables is installed.
for each in iptables ip6tables; do
  for tool in "" -save -restore; do ln -sf /usr/sbin/xtables-nft-multi "$state/bin/$each$tool"; done
done
ip link set lo up
echo "waiting for tap0"
until ip route show default 2>/dev/null | grep -q tap0; do sleep 0.1; done
exec dockerd --data-root "$state/data" --exec-root "$state/exec" --host "unix://$state/docker.sock" \
  --pidfile "$state/dockerd.pid" --cgroup-parent "$name" --log-level warn
