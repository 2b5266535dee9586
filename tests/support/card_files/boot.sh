#!/bin/sh
# Plays the kernel's part of a machine with graphics cards, at each boot of a container: what sysfs
# and procfs would show, from the state in /srv/cards. On a node (/srv/cards/node) modules and their
# options of the last boot count; a guest sees the node's driver.
C=/srv/cards
set -e
mount -t tmpfs none /proc/driver
mkdir -p /proc/driver/nvidia
ln -s $C/live /proc/driver/nvidia/version
for name in nvidia0 nvidiactl nvidia-uvm; do
    touch /dev/$name
    mount --bind /dev/null /dev/$name
done
[ "$1" = node ] || exit 0
mount -t tmpfs none /sys/bus/pci
mount -t tmpfs none /sys/kernel
mount -t tmpfs none /sys/module
mkdir -p /sys/module/apparmor/parameters /sys/kernel/security/apparmor
echo Y > /sys/module/apparmor/parameters/enabled
: > /sys/kernel/security/apparmor/profiles
taken=$(sed -n 's/^options vfio-pci ids=\([^ ]*\).*/\1/p' /etc/modprobe.d/*.conf 2>/dev/null) || true
while read -r address vendor device class driver group; do
    card=/sys/bus/pci/devices/$address
    mkdir -p $card /sys/kernel/iommu_groups/$group
    echo 0x$vendor > $card/vendor
    echo 0x$device > $card/device
    echo 0x$class > $card/class
    case ",$taken," in *",$vendor:$device,"*) driver=vfio-pci ;; esac
    ln -s ../../drivers/$driver $card/driver
    ln -s ../../../../kernel/iommu_groups/$group $card/iommu_group
done < $C/pci
