# What kind of machine this is. Sourced by the scripts beside it; changes nothing.

say() { printf '%s\n' "phoenix: $*" >&2; }
die() { say "$*"; exit 1; }

# A Proxmox node, where Incus would remove Proxmox's own LXC.
on_proxmox() { [ -d /etc/pve ]; }

# Whether an init system runs that can keep services.
has_systemd() { [ -d /run/systemd/system ]; }

# Root of this machine's own user namespace is not enough: system containers need the real one.
is_real_root() {
    [ "$(id -u)" = 0 ] && grep -Eq '^ *0 +0 +4294967295$' /proc/self/uid_map
}

# Why system containers can't run here, in a few words; nothing where they can.
why_no_containers() {
    if [ "$(id -u)" != 0 ]; then
        echo "no root"
    elif ! is_real_root; then
        echo "inside an unprivileged container"
    elif ! { [ -w /sys/fs/cgroup ] || [ -d /sys/fs/cgroup/unified ]; }; then
        echo "no writable cgroups"
    fi
}
