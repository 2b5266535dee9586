#!/bin/bash
# Makes of a plain Debian container what plays a Proxmox VE node. Run once, for the image.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# The guests' root file system is this very Debian, as it is before anything is added.
update-ca-certificates >/dev/null
tar -C / --one-file-system --exclude=./srv --exclude=./proc --exclude=./sys --exclude=./dev \
    -cf - . | { mkdir -p /srv/base && tar -C /srv/base -xf -; }
mkdir -p /srv/base/{proc,sys,dev,srv} /srv/guests /srv/snapshots
rm -f /srv/base/etc/systemd/network/* /srv/base/etc/hostname
: >/srv/base/etc/machine-id

apt-get update -qq
apt-get install -yqq --no-install-recommends \
    openssh-server lxc btrfs-progs nftables sudo bsdutils >/dev/null
systemctl disable --quiet lxc-net.service lxc.service
apt-get clean

# Two people: one may become root, one may not.
useradd --create-home --shell /bin/bash ops
useradd --create-home --shell /bin/bash plain
echo 'ops ALL=(root) NOPASSWD: ALL' >/etc/sudoers.d/ops

mkdir -p /etc/pve/lxc /run/lock/lxc
