#!/bin/sh
# Plays the programs that need a kernel's modules or a card, by the name that it is called with.
# They take the words of the real ones, and keep state in /srv/cards.
C=/srv/cards
case "${0##*/}" in
modinfo) cat $C/module 2>/dev/null ;;
modprobe)
    [ -e $C/module ] || { echo "modprobe: FATAL: Module $1 not found" >&2; exit 1; }
    [ "$1" = nvidia ] || exit 0
    echo "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  $(cat $C/module)  Release" > $C/live
    ;;
nvidia-modprobe) [ "$*" = "-u -c=0" ] ;;
nvidia-smi)
    [ -s /proc/driver/nvidia/version ] || { echo "couldn't communicate with the driver"; exit 9; }
    version=$(readlink -f /usr/lib/x86_64-linux-gnu/libcuda.so.1)
    version=${version##*.so.}
    grep -q "  $version  " /proc/driver/nvidia/version || {
        echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18; }
    ! grep -qsx "$version" $C/blind || { echo "No devices were found"; exit 6; }
    case "$*" in
    *name,driver_version*) echo "NVIDIA GeForce RTX 5060 Ti, $version" ;;
    *name,memory.total,driver_version*) echo "NVIDIA GeForce RTX 5060 Ti, 16311 MiB, $version" ;;
    *) exit 9 ;;
    esac
    ;;
update-initramfs) echo "$*" >> $C/initramfs ;;
fuser) : ;;
apparmor_parser)
    # The real one tests the profile; no kernel here loads it.
    for last; do :; done
    /usr/sbin/apparmor_parser --skip-cache --skip-kernel-load --quiet "$last" || exit 1
    case "$*" in *--skip-kernel-load*) exit 0 ;; esac
    echo "${last##*/} (enforce)" >> /sys/kernel/security/apparmor/profiles
    ;;
*) echo "nobody plays $0" >&2; exit 127 ;;
esac
