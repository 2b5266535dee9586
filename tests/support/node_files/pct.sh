#!/bin/sh
# Stands in for `pct exec` and `pct status` on the tests' node: what they run is really LXC.
[ -e "/etc/pve/lxc/$2.conf" ] || { echo "Configuration file 'nodes/$(hostname)/lxc/$2.conf' does not exist" >&2; exit 2; }
state=$(lxc-info -n "$2" -sH 2>/dev/null)
case $1 in
    exec)
        id=$2
        shift 2
        [ "$1" != -- ] || shift
        [ "$state" = RUNNING ] || { echo "container '$id' not running!" >&2; exit 255; }
        attach=$(command -v lxc-attach || echo /opt/lxc-attach)
        exec "$attach" -n "$id" --keep-env -- "$@" ;;
    status) if [ "$state" = RUNNING ]; then echo "status: running"; else echo "status: stopped"; fi ;;
    *) echo "pct $1 is not played here" >&2; exit 64 ;;
esac
