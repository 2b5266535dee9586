#!/bin/bash
# Installs Incus from the distribution's packages and starts it; does nothing where it answers.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

! on_proxmox || die "this is a Proxmox node: Incus would remove its LXC, so it is not installed"
why=$(why_no_containers)
[ -z "$why" ] || die "system containers can't run here ($why)"

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

# Services must not start by themselves while packages are installed: dnsmasq-base and lxcfs are
# only libraries to Incus, and where no init system runs the start would fail.
install_packages() {
    local release=()
    say "installing Incus"
    . /etc/os-release
    if [ "$ID" = debian ] && [ "$VERSION_ID" = 12 ]; then
        release=(-t "$(backports "$VERSION_CODENAME")")
    fi
    apt-get update -qq
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -yqq --no-install-recommends "${helpers[@]}" >/dev/null
    apt-get install -yqq --no-install-recommends "${release[@]}" "${packages[@]}" >/dev/null
}

start_by_hand() {
    mkdir -p /var/log/incus /var/lib/lxcfs
    # Without lxcfs guests see the whole machine's memory; it must be there before incusd starts.
    if ! mountpoint -q /var/lib/lxcfs; then
        setsid lxcfs /var/lib/lxcfs >/var/log/incus/lxcfs.log 2>&1 </dev/null &
        sleep 0.3
    fi
    say "starting the Incus daemon"
    setsid /usr/libexec/incus/incusd --group root >/var/log/incus/daemon.log 2>&1 </dev/null &
}

answers() { command -v incus >/dev/null && incus query /1.0 >/dev/null 2>&1; }

answers && command -v mmdebstrap >/dev/null && exit 0
missing=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" "${helpers[@]}" 2>&1 |
    grep -vc '^installed ' || true)
[ "$missing" = 0 ] || install_packages
if ! answers; then
    if has_systemd; then systemctl start incus; else start_by_hand; fi
fi
incus admin waitready --timeout 60 || die "the Incus daemon did not start; see /var/log/incus"
