#!/bin/sh
# Run in a mount namespace of its own: hides what ZFS, udev and modprobe keep on this machine, and
# becomes the ZFS daemon. begin.sh FOLDER
set -e
mount --make-rprivate /
mkdir -p /dev/disk /run/udev /run/zfs /run/lock /etc/modprobe.d /mnt
for each in /dev/disk /run/udev /run/zfs /run/lock /etc/zfs /var/lib/zfs /etc/modprobe.d /mnt /sys/module; do
    mount -t tmpfs tmpfs "$each"
done
# The folder of Proxmox VE's own files, which this machine must not have.
mkdir /var/lib/zfs/etc /var/lib/zfs/work
mount -t overlay -o lowerdir=/etc,upperdir=/var/lib/zfs/etc,workdir=/var/lib/zfs/work etc /etc
mkdir -p /etc/pve/qemu-server /etc/pve/lxc
# Pools are mounted below the root folder, which other nodes have too: who destroys a pool would
# remove the folder that another's is mounted on.
for each in /phxtq /phxtold /phxtother /phxtempty; do
    mkdir -p "$each"
    mount -t tmpfs tmpfs "$each"
done
mkdir -p /dev/disk/by-id /run/udev/data /sys/module/zfs/parameters
echo 0 >/sys/module/zfs/parameters/zfs_arc_max
touch "$1/ready"
exec zfs-fuse --no-daemon
