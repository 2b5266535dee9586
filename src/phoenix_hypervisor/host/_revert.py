"""The timed way back of a network change, armed on the node itself before anything changes.

The node keeps a copy of /etc/network/interfaces, a timer, and a unit that its next boot runs before
the network comes up. Unless the node was reached again first, either of them puts the copy back;
the timer also loads it with ifupdown2's `ifreload -a`. One rename decides between disarming and
going back. Source: interfaces(5), ifreload(8), systemd-run(1), systemd.special(7).
"""

FOLDER = "/var/lib/phoenix/network"
UNITS = "/etc/systemd/system"
ARMED_ALREADY = 3
NOT_YET = 4
TOO_LATE = 5
RELOAD_S = 30
"""Seconds that the node may take to load the old network again, after its timer fired."""

_UNIT = "phoenix-network-boot-{token}.service"
_GONE = "rm -f {units}/sysinit.target.wants/{unit} {units}/{unit}"

# At boot nobody loads a network yet, and one that a crash interrupted is gone back to once more.
_REVERT = """cd {folder} || exit 1
mv armed-{token} reverting-{token} 2>/dev/null ||
    {{ [ "${{1-}}" = boot ] && [ -e reverting-{token} ]; }} || {{ {gone}; exit 0; }}
{{ cp -p before-{token} /etc/network/.interfaces-{token} &&
    sync /etc/network/.interfaces-{token} &&
    mv /etc/network/.interfaces-{token} /etc/network/interfaces; }} 2>>log-{token} || exit 1
rm -f /etc/network/interfaces.new
sync /etc/network
if [ "${{1-}}" != boot ]; then
    tries=0
    while ps -e -o args= 2>/dev/null | grep -q '[i]freload -a' && [ $tries -lt 20 ]; do
        tries=$((tries + 1)) # the bad network is still being loaded, and only one can be at work
        sleep 1
    done
    ifreload -a >>log-{token} 2>&1 || {{ sleep 1; ifreload -a >>log-{token} 2>&1; }}
fi
mv reverting-{token} reverted-{token}
{gone}
"""

# Proxmox VE itself puts what is staged in place at boot (pvenetcommit).
_BOOT = """[Unit]
Description=Network as before a change that was not confirmed
DefaultDependencies=no
RequiresMountsFor={folder} /etc/network
After=local-fs.target pvenetcommit.service
Before=network-pre.target networking.service

[Service]
Type=oneshot
ExecStart=/bin/sh {folder}/revert-{token} boot
"""

# The last rename arms: killed before it, all that was made before does nothing; the timer looks for
# the renamed file, so that it must not have been over by then.
_ARM = """set -eu
umask 077
mkdir -p {folder}
cd {folder}
command -v ifreload >/dev/null || {{ echo "it has no ifreload (ifupdown2)" >&2; exit 1; }}
exec 9<.
flock -n 9 || {{ echo "another change of its network begins" >&2; exit {armed_already}; }}
for each in armed-* reverting-*; do
    [ -e "$each" ] || continue
    [ "$(cat "$each")" -ge "$(date +%s)" ] || {{ rm -f "$each"; continue; }}
    echo "another change of its network is under way: {folder}/$each" >&2
    exit {armed_already}
done
rm -f before-* revert-* log-* reverted-* disarmed-* arming-*
rm -f {units}/sysinit.target.wants/phoenix-network-boot-* {units}/phoenix-network-boot-*
cp -p /etc/network/interfaces before-{token}
cat >revert-{token} <<'REVERT_ENDS_HERE'
{revert}REVERT_ENDS_HERE
seconds_up() {{ cut -d. -f1 /proc/uptime; }}
begun=$(seconds_up)
echo "$(($(date +%s) + {seconds} + {reload_s}))" >arming-{token}
if [ -d /run/systemd/system ]; then
    mkdir -p {units}/sysinit.target.wants
    cat >{units}/{unit} <<'UNIT_ENDS_HERE'
{boot}UNIT_ENDS_HERE
    ln -s ../{unit} {units}/sysinit.target.wants/{unit}
    sync {units}/{unit} {units} {units}/sysinit.target.wants
    systemd-run --quiet --collect --unit=phoenix-network-{token} --on-active={seconds} \\
        --timer-property=AccuracySec=100ms sh {folder}/revert-{token}
else
    setsid sh -c 'sleep {seconds}; exec sh {folder}/revert-{token}' \\
        </dev/null >/dev/null 2>&1 9>&- &
fi
sync before-{token} revert-{token} arming-{token}
mv arming-{token} armed-{token}
[ $(($(seconds_up) - begun)) -lt $(({seconds} - 1)) ] || {{
    rm -f armed-{token}
    echo "arming it took longer than {seconds} s" >&2
    exit 1
}}
sync {folder}
"""

_DISARM = """cd {folder} || exit 1
[ -e armed-{token} ] || {{ [ -e disarmed-{token} ] && exit 0 || exit {too_late}; }}
echo "SSH_CONNECTION=${{SSH_CONNECTION-}}"
[ ! -e /etc/network/interfaces.new ] || exit {not_yet}
sleep 1
! ps -e -o args= 2>/dev/null | grep -qE '[i]freload -a|[U]PID:.*:srvreload:' || exit {not_yet}
{proof}
"""

_WITHDRAW = """cd {folder} || exit 1
mv armed-{token} disarmed-{token} 2>/dev/null || exit {too_late}
[ ! -d /run/systemd/system ] || systemctl stop phoenix-network-{token}.timer 2>/dev/null
{gone}
rm -f {also}before-{token} revert-{token} log-{token}
"""

_STATE = """cd {folder} 2>/dev/null || exit 0
for each in armed reverting reverted; do [ ! -e $each-{token} ] || echo $each; done
tail -n 5 log-{token} 2>/dev/null
true
"""


def arm(token: str, seconds: int) -> str:
    """A script that arms the way back; `ARMED_ALREADY` where another change is under way.

    Killed anywhere, it leaves the way back armed whole, or not at all.
    """
    unit = _UNIT.format(token=token)
    return _ARM.format(
        folder=FOLDER,
        units=UNITS,
        unit=unit,
        token=token,
        seconds=seconds,
        reload_s=RELOAD_S,
        armed_already=ARMED_ALREADY,
        revert=_REVERT.format(folder=FOLDER, token=token, gone=_gone(token)),
        boot=_BOOT.format(folder=FOLDER, token=token),
    )


def disarm(token: str, address: str | None, known: str) -> str:
    """A script that disarms, to be run by a new connection to `address`.

    `known` is the SSH_CONNECTION of before: the new one must be another, to that address; or, on
    the node itself, the gateway must answer. `NOT_YET`: ask again; `TOO_LATE`: the timer was first.
    Asked again after it was disarmed, as where an answer was lost, it is content.
    """
    held = f"ip -o addr show to {address} | grep -q . || exit {NOT_YET}\n" if address else ""
    to = f"*' {address} '*" if address else "?*"
    proof = f"""{held}case "${{SSH_CONNECTION-}}" in
'{known}') gateway=$(ip route show default | sed -n 's/.* via \\([^ ]*\\).*/\\1/p;1q')
    [ -z "$gateway" ] || ping -c 1 -W 2 "$gateway" >/dev/null 2>&1 || exit {NOT_YET} ;;
{to}) ;;
*) exit {NOT_YET} ;;
esac"""
    asked = _DISARM.format(
        folder=FOLDER, token=token, proof=proof, not_yet=NOT_YET, too_late=TOO_LATE
    )
    return asked + _withdraw(token)  # that it was disarmed stays to be seen


def is_armed(token: str) -> str:
    """A script that fails where the way back is not armed, or is over."""
    return f"test -e {FOLDER}/armed-{token}"


def withdraw(token: str) -> str:
    """A script that disarms without asking anything, where nothing was changed."""
    return _withdraw(token, also=f"disarmed-{token} ")


def state(token: str) -> str:
    """A script that prints `armed`, `reverting` or `reverted`, and the end of the log."""
    return _STATE.format(folder=FOLDER, token=token)


def _withdraw(token: str, also: str = "") -> str:
    gone = _gone(token)
    return _WITHDRAW.format(folder=FOLDER, token=token, too_late=TOO_LATE, gone=gone, also=also)


def _gone(token: str) -> str:
    return _GONE.format(units=UNITS, unit=_UNIT.format(token=token))
