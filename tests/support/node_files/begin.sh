#!/bin/bash
# Run in each node when it has started: begin.sh NAME BRIDGE-ADDRESS PUBLIC-KEY BRIDGE
set -euo pipefail
name=$1 address=$2 key=$3 bridge=$4

hostname "$name"
echo "$name" >/etc/hostname
printf "127.0.1.1 %s\n" "$name" >>/etc/hosts

# Where cgroups of version 1 lie apart, systemd mounts none of those that it wants together.
if [ -d /sys/fs/cgroup/unified ]; then
    mount -o remount,rw /sys/fs/cgroup
    for each in $(awk -F: '$2 != "" && $2 !~ /=/ { print $2 }' /proc/self/cgroup); do
        folder=/sys/fs/cgroup/$each
        ! mountpoint -q "$folder" || continue
        [ ! -L "$folder" ] || rm "$folder"
        mkdir -p "$folder"
        mount -t cgroup -o "$each" cgroup "$folder"
    done
    echo 1 >/sys/fs/cgroup/cpuset/cgroup.clone_children
fi

# Guests are snapshots of one subvolume.
btrfs --quiet subvolume create /srv/guests/base
cp -a --reflink=auto /srv/base/. /srv/guests/base/

mkdir -p /run/lock/lxc
ip link add "$bridge" type bridge
ip address add "$address" dev "$bridge"
ip link set "$bridge" up
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<END
table ip guests {
  chain out { type nat hook postrouting priority srcnat; oifname "eth0" ip saddr ${address%.*}.0/24 masquerade; }
}
END

rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
for user in root ops plain; do
    home=$(getent passwd "$user" | cut -d: -f6)
    install -d -m 700 -o "$user" "$home/.ssh"
    echo "$key" >"$home/.ssh/authorized_keys"
    chown "$user" "$home/.ssh/authorized_keys"
done
systemctl restart ssh.service
