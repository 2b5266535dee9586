#!/bin/bash
# Installs Incus from the distribution's packages and starts it; does nothing where all is there.
# `lab/incus.sh start` only starts an Incus that is installed, and installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

! on_proxmox || die "this is a Proxmox node: Incus would remove its LXC, so it is not installed"
why=$(why_no_containers)
[ -z "$why" ] || die "system containers can't run here ($why)"

only_start=no
case ${1:-} in start) only_start=yes ;; "") ;; *) die "lab/incus.sh [start]" ;; esac

packages=(incus-base incus-client)
helpers=(btrfs-progs dnsmasq-base nftables uidmap lxcfs mmdebstrap zstd)

# Debian 12 has Incus in its backports, which lie on the mirror that the machine uses anyway.
backports() {
    local codename=$1 mirror target
    target="$codename-backports"
    if ! apt-get indextargets --format '$(CODENAME)' | grep -qx "$target"; then
        mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' |
            awk -v c="$codename" '$2 == c && $3 == "main" { print $1; exit }')
        [ -n "$mirror" ] || die "apt has no source for $codename main; Incus can't be installed"
        say "adding $target from the machine's own mirror"
        printf 'deb %s %s main\n' "$mirror" "$target" \
            >/etc/apt/sources.list.d/phoenix-backports.list
    fi
    echo "$target"
}

# Of these packages the ones that are not installed.
missing_of() {
    local package
    for package; do
        # An Incus from elsewhere brings its own lxcfs.
        case $package,$(daemon) in lxcfs,/opt/*) continue ;; esac
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s\n' "$package"
    done
}

# Never removes a package: one that would drive out what is there is not installed.
install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends --no-remove "$@" \
        >/dev/null || die "apt could not install $*"
}

install_missing() {
    local helpers_missing packages_missing=() release=()
    mapfile -t helpers_missing < <(missing_of "${helpers[@]}")
    # Whatever Incus is there stays as it is, wherever it came from.
    answers || { command -v incus && [ -n "$(daemon)" ]; } >/dev/null || mapfile -t packages_missing < <(missing_of "${packages[@]}")
    [ $((${#helpers_missing[@]} + ${#packages_missing[@]})) -gt 0 ] || return 0
    say "installing ${packages_missing[*]} ${helpers_missing[*]}"
    if [ ${#packages_missing[@]} -gt 0 ]; then
        . /etc/os-release
        if [ "$ID" = debian ] && [ "$VERSION_ID" = 12 ]; then
            release=(-t "$(backports "$VERSION_CODENAME")")
        fi
    fi
    apt-get update -qq
    # lxcfs must be there before Incus: where an init system runs, packages start their services.
    [ ${#helpers_missing[@]} = 0 ] || install "${helpers_missing[@]}"
    [ ${#packages_missing[@]} = 0 ] || install "${release[@]}" "${packages_missing[@]}"
}

# The daemon's program; nothing where none is installed.
daemon() {
    local path
    for path in /usr/libexec/incus/incusd /opt/incus/bin/incusd; do
        [ ! -x "$path" ] || { echo "$path"; return; }
    done
    command -v incusd || true
}

# Read from the table of mounts: a dead FUSE mount can't even be looked at.
is_mounted() { awk -v path="$1" '$2 == path { found = 1 } END { exit !found }' /proc/mounts; }

start_by_hand() {
    # The mount of an lxcfs that was killed stays behind and answers nothing.
    if is_mounted /var/lib/lxcfs && ! stat /var/lib/lxcfs/proc >/dev/null 2>&1; then
        say "ending the mount of an lxcfs that is gone"
        umount --lazy /var/lib/lxcfs
    fi
    mkdir -p /var/log/incus /var/lib/lxcfs
    # Without lxcfs guests see the whole machine's memory; it must be there before incusd starts.
    if ! mountpoint -q /var/lib/lxcfs; then
        setsid lxcfs /var/lib/lxcfs >>/var/log/incus/lxcfs.log 2>&1 </dev/null &
        sleep 0.3
    fi
    say "starting the Incus daemon"
    setsid "$(daemon)" --group root >>/var/log/incus/daemon.log 2>&1 </dev/null &
}

# Every guest's systemd needs about ten of these, and all guests together have the root user's: with
# the kernel's 128, services of about the twelfth guest fail at random. Incus's package raises it,
# but only at the next boot.
raise_limits() {
    local limit=/proc/sys/fs/inotify/max_user_instances
    [ "$(cat $limit)" -ge 1024 ] || echo 1024 >$limit 2>/dev/null ||
        say "could not raise $limit to 1024: many guests at once may not start"
}

answers() { command -v incus >/dev/null && incus query /1.0 >/dev/null 2>&1; }

[ $only_start = yes ] || install_missing
if ! answers; then
    [ -n "$(daemon)" ] || die "Incus is not installed"
    if has_systemd; then systemctl start incus; else start_by_hand; fi
    incus admin waitready --timeout 60 || die "the Incus daemon did not start; see /var/log/incus"
fi
raise_limits
