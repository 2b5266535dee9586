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

# Makes .venv-NAME from requirements-NAME.txt, apart from .venv; does nothing where it is current.
venv_apart() {
    local name=.venv-$1 wanted
    # Several test processes may come at once.
    exec 9<"requirements-$1.txt"
    flock 9
    wanted=$(cat "requirements-$1.txt" .venv/.made-from | sha256sum)
    if [ ! -f "$name/.made-from" ] || [ "$(cat "$name/.made-from")" != "$wanted" ]; then
        say "making the virtual environment $name"
        rm -rf "$name"
        .venv/bin/python -m venv "$name"
        "$name/bin/pip" install -qq --disable-pip-version-check --require-hashes \
            -r "requirements-$1.txt" || return 1
        printf '%s\n' "$wanted" >"$name/.made-from"
    fi
    exec 9<&-
}
