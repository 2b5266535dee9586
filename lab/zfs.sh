#!/bin/bash
# Installs Debian's zfs-fuse, ZFS without a kernel module, and fdisk, for the tests. Does nothing
# where both are.
# Ends with status 3 where this machine's packages don't have it.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

command -v zfs-fuse >/dev/null && command -v sfdisk >/dev/null && exit 0
[ "$(id -u)" = 0 ] || die "the tests of ZFS need root"
if ! command -v zfs-fuse >/dev/null && command -v zpool >/dev/null; then
    say "this machine has a ZFS of its own, which zfs-fuse would drive out"
    exit 3
fi
apt-get update -qq
[ -n "$(apt-cache madison zfs-fuse)" ] || { say "no package zfs-fuse for this release"; exit 3; }
say "installing zfs-fuse"
DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends --no-remove zfs-fuse fdisk \
    >/dev/null || die "apt could not install zfs-fuse and fdisk"
# The tests start daemons of their own, which nobody else sees.
! has_systemd || systemctl disable --quiet --now zfs-fuse
