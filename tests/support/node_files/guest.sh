#!/bin/bash
# Real LXC containers with the ids of Proxmox VE's guests. On the tests' node: phx-guest WORD …
#   make ID ADDRESS/24 GATEWAY NAME BRIDGE      stopped, of the node's own Debian
#   clone SOURCE[@SNAPSHOT] ID ADDRESS/24 GATEWAY NAME BRIDGE
#   place ID ADDRESS/24 GATEWAY NAME BRIDGE      of a stopped one, from its next start on
#   plug ID SOURCE TARGET      a folder of the node, while it runs
#   snapshot ID SNAPSHOT | rollback ID SNAPSHOT | forget ID SNAPSHOT
#   start ID | ready ID | stop ID | kill ID | destroy ID | state ID
# Raw lxc.* lines and bind mounts are taken from /etc/pve/lxc/ID.conf when it starts.
set -euo pipefail
guests=/srv/guests snapshots=/srv/snapshots

is_running() { [ "$(lxc-info -n "$1" -sH 2>/dev/null || true)" = RUNNING ]; }

place() { # ID ADDRESS GATEWAY NAME BRIDGE
    local root=$guests/$1 wanted=/var/lib/lxc/$1/wanted
    [ "$(cat "$wanted" 2>/dev/null)" != "${*:2}" ] || return 0
    echo "$4" >"$root/etc/hostname"
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$4" >"$root/etc/hosts"
    # As Proxmox VE writes it; the address is there from the start all the same, see below.
    printf '[Match]\nName=eth0\n\n[Network]\nAddress=%s\nGateway=%s\n' "$2" "$3" \
        >"$root/etc/systemd/network/eth0.network"
    mkdir -p "/var/lib/lxc/$1"
    echo "${*:2}" >"$wanted"
}

new() { # FROM ID ADDRESS GATEWAY NAME BRIDGE
    local root=$guests/$2
    btrfs --quiet subvolume snapshot "$1" "$root"
    : >"$root/etc/machine-id"
    place "${@:2}"
    [ -e "/etc/pve/lxc/$2.conf" ] || printf 'arch: amd64\nhostname: %s\n' "$5" >"/etc/pve/lxc/$2.conf"
}

configure() { # ID
    local address gateway name bridge folder
    read -r address gateway name bridge <"/var/lib/lxc/$1/wanted"
    {
        cat <<END
lxc.include = /usr/share/lxc/config/common.conf
lxc.include = /usr/share/lxc/config/nesting.conf
lxc.arch = linux64
lxc.uts.name = $name
lxc.rootfs.path = dir:$guests/$1
lxc.apparmor.profile = unconfined
lxc.net.0.type = veth
lxc.net.0.link = $bridge
lxc.net.0.flags = up
lxc.net.0.name = eth0
lxc.net.0.veth.pair = veth${1}i0
lxc.net.0.ipv4.address = $address
lxc.net.0.ipv4.gateway = $gateway
END
        for folder in $(cat /etc/phx-folders 2>/dev/null); do
            echo "lxc.mount.entry = $folder ${folder#/} none bind,ro,create=dir 0 0"
        done
        sed -n '/^\[/q; s/^\(lxc\.[a-z0-9_.-]*\)\(:\|[[:space:]]*=\)[[:space:]]*/\1 = /p' \
            "/etc/pve/lxc/$1.conf"
        sed -n '/^\[/q; s!^mp[0-9]*: \(/[^,]*\),.*mp=/\([^,]*\).*!lxc.mount.entry = \1 \2 none bind,create=dir 0 0!p' \
            "/etc/pve/lxc/$1.conf"
    } >"/var/lib/lxc/$1/config"
}

id=${2:-}
case ${1:-} in
    make) new "$guests/base" "${@:2}" ;;
    clone)
        case $2 in
            *@*) new "$snapshots/$2" "${@:3}" ;;
            *) new "$guests/$2" "${@:3}" ;;
        esac ;;
    place) place "${@:2}" ;;
    plug) phx-plug "$(lxc-info -n "$id" -pH)" "$3" "$4" ;;
    forget) btrfs --quiet subvolume delete "$snapshots/$id@$3" ;;
    snapshot) btrfs --quiet subvolume snapshot "$guests/$id" "$snapshots/$id@$3" ;;
    rollback)
        btrfs --quiet subvolume delete "$guests/$id"
        btrfs --quiet subvolume snapshot "$snapshots/$id@$3" "$guests/$id" ;;
    start)
        configure "$id"
        lxc-start -n "$id" -l INFO -o "/var/log/lxc/$id.log" || { tail -20 "/var/log/lxc/$id.log" >&2; exit 1; } ;;
    ready)
        for _ in $(seq 300); do
            case $(lxc-attach -n "$id" -- systemctl is-system-running 2>/dev/null || true) in
                running | degraded) exit 0 ;;
            esac
            sleep 0.1
        done
        echo "guest $id does not come up" >&2
        exit 1 ;;
    stop) ! is_running "$id" || lxc-stop -n "$id" -t 15 ;;
    kill) ! is_running "$id" || lxc-stop -n "$id" -k ;;
    destroy)
        ! is_running "$id" || lxc-stop -n "$id" -k
        for each in "$guests/$id" "$snapshots/$id"@*; do
            [ ! -d "$each" ] || btrfs --quiet subvolume delete "$each"
        done
        rm -rf "/var/lib/lxc/$id" "/etc/pve/lxc/$id.conf" ;;
    state) if is_running "$id"; then echo running; elif [ -d "$guests/$id" ]; then echo stopped; else echo absent; fi ;;
    *) sed -n '2,10p' "$0" >&2; exit 64 ;;
esac
