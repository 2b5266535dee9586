"""What changed in a machine's cloud-init documents, brought into the running machine.

cloud-init would do it once only, when the machine is new (see `cloudinit`). The script here does
the same work again, compares first, and can be run any number of times. It is given to a POSIX
shell of root in the machine on its standard input, since hashes of passwords are in it. People
and mounts that left the files: mounts go, accounts stay, as nobody's home is deleted by an edit.
"""

import shlex
from collections.abc import Iterator, Sequence

from phoenix_hypervisor.drivers.proxmox.cloudinit import (
    Person,
    full_name,
    mounts,
    packages,
)
from phoenix_hypervisor.model.desired import Guest, Host

_HEAD = r"""
export DEBIAN_FRONTEND=noninteractive
umask 022
failed=0
fail() { printf '%s\n' "$*" >&2; failed=1; }
# cloud-init's own work at the first start goes first.
! command -v cloud-init >/dev/null || timeout 300 cloud-init status --wait >/dev/null 2>&1 || :

be_called() {
    [ "$(uname -n)" = "$1" ] || hostnamectl set-hostname "$1" 2>/dev/null ||
        { printf '%s\n' "$1" >/etc/hostname && hostname "$1"; } || fail "the name $1 was not taken"
    line="127.0.1.1 $2"
    grep -qxF "$line" /etc/hosts && return
    new=$(mktemp /etc/hosts.XXXXXX) && chmod 644 "$new" &&
        { printf '%s\n' "$line"; grep -v '^127\.0\.1\.1[[:space:]]' /etc/hosts; } >"$new" &&
        mv -f "$new" /etc/hosts || fail "/etc/hosts could not be written"
}

live_in() {
    [ -f "/usr/share/zoneinfo/$1" ] || { fail "there is no time zone $1"; return; }
    ln -sfn "/usr/share/zoneinfo/$1" /etc/localtime
    [ ! -f /etc/timezone ] || printf '%s\n' "$1" >/etc/timezone
}

# Name, shell, groups with commas, hash or nothing. Changes only what differs.
person() {
    id -u "$1" >/dev/null 2>&1 || useradd --create-home --shell "$2" "$1" ||
        { fail "the user $1 could not be made"; return; }
    [ "$(getent passwd "$1" | cut -d: -f7)" = "$2" ] || usermod --shell "$2" "$1" || failed=1
    for group in $(printf %s "$3" | tr , ' '); do
        getent group "$group" >/dev/null || groupadd "$group" || failed=1
        usermod --append --groups "$group" "$1" || failed=1
    done
    now=$(getent shadow "$1" | cut -d: -f2)
    if [ -n "$4" ]; then
        [ "$now" = "$4" ] || printf '%s:%s\n' "$1" "$4" | chpasswd --encrypted || failed=1
    else
        case $now in '!'* | '*'*) ;; *) passwd --lock "$1" >/dev/null || failed=1 ;; esac
    fi
}

# The keys stand on standard input: all that may log in. As the user, who may have made links.
only_keys() {
    home=$(getent passwd "$1" | cut -d: -f6)
    runuser -u "$1" -- sh -c 'cd "$1" && umask 077 && mkdir -p .ssh && chmod 700 .ssh &&
        new=$(mktemp .ssh/.keys.XXXXXX) && cat >"$new" && mv -fT "$new" .ssh/authorized_keys' \
        sh "$home" || fail "the keys of $1 could not be written"
}

# Root's other keys stay: they are somebody else's way in.
also_key() {
    mkdir -p /root/.ssh && chmod 700 /root/.ssh && touch /root/.ssh/authorized_keys &&
        chmod 600 /root/.ssh/authorized_keys || failed=1
    grep -qxF "$1" /root/.ssh/authorized_keys ||
        printf '%s\n' "$1" >>/root/.ssh/authorized_keys || failed=1
}

# The file that cloud-init made, whole; sudo never sees half of it, nor a broken one.
sudoers() {
    [ -d /etc/sudoers.d ] || return 0
    new=$(mktemp /etc/sudoers.d/.phoenix.XXXXXX) && cat >"$new" && chmod 440 "$new" || failed=1
    if [ ! -s "$new" ]; then
        rm -f "$new" /etc/sudoers.d/90-cloud-init-users
    elif visudo -cqf "$new"; then
        mv -f "$new" /etc/sudoers.d/90-cloud-init-users || failed=1
    else
        rm -f "$new"
        fail "sudo does not understand the new rules; the old ones stay"
    fi
}

install() {
    missing=
    for package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    apt-get -qq update || :
    apt-get -o DPkg::Lock::Timeout=300 -yqq install $missing >/dev/null ||
        fail "these packages could not be installed:$missing"
}

# Lines of fstab on standard input; the ones that the first start or an earlier run wrote go.
shares() {
    wanted=$(cat)
    printf '%s\n' "$wanted" | while read -r _ target _; do
        [ -z "$target" ] || mkdir -p "$(printf %b "$(printf %s "$target" | sed 's/\\/\\0/g')")"
    done
    old=$(grep x-phoenix /etc/fstab)
    if [ "$old" != "$wanted" ]; then
        new=$(mktemp /etc/fstab.XXXXXX) && chmod 644 "$new" && {
            grep -v x-phoenix /etc/fstab
            [ -z "$wanted" ] || printf '%s\n' "$wanted"
        } >"$new" && mv -f "$new" /etc/fstab || fail "/etc/fstab could not be written"
        ! command -v systemctl >/dev/null || systemctl daemon-reload
        printf '%s\n' "$old" | while read -r source target _; do
            [ -n "$source" ] || continue
            printf '%s\n' "$wanted" | grep -qF "$source $target " ||
                umount "$(printf %b "$(printf %s "$target" | sed 's/\\/\\0/g')")" 2>/dev/null || :
        done
    fi
    [ -z "$wanted" ] || mount --all --types nfs,nfs4 || fail "a share could not be mounted"
}
"""


def script(guest: Guest, host: Host, people: Sequence[Person], keys: Sequence[str] = ()) -> str:
    """The script; `people` and `keys` as for `cloudinit.user_data`.

    Its exit status is 0 where all is as the files say; else each thing that failed is a line of
    its standard error, and all others were done.
    """
    return "\n".join([_HEAD, *_calls(guest, host, people, keys), "exit $failed", ""])


def _calls(
    guest: Guest, host: Host, people: Sequence[Person], keys: Sequence[str]
) -> Iterator[str]:
    short, full = guest.name.partition(".")[0], full_name(guest, host)
    yield _call("be_called", short, full if full == short else f"{full} {short}")
    if host.timezone:
        yield _call("live_in", host.timezone)
    if wanted := packages(guest):
        yield _call("install", *wanted)
    yield from (_call("also_key", key) for key in keys)
    for one in people:
        yield _call("person", one.name, one.shell, ",".join(one.groups), one.password_hash or "")
        yield _call("only_keys", one.name) + _lines(one.keys)
    rules = [f"{one.name} {one.sudo_rule}" for one in people if one.sudo]
    yield "sudoers" + _lines(rules)
    yield "shares" + _lines(mounts(guest))


def _call(*words: str) -> str:
    return " ".join(map(shlex.quote, words))


def _lines(lines: Sequence[str]) -> str:
    """As a document of the shell; its end is a word that no line can be."""
    return "".join([" <<'PHOENIX-END'\n", *(f"{line}\n" for line in lines), "PHOENIX-END"])
