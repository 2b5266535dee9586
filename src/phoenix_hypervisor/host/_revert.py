"""The timed way back of a network change, armed on the node itself before anything changes.

The node keeps a copy of /etc/network/interfaces and a timer. When the timer fires first, the node
puts the copy back and loads it with ifupdown2's `ifreload -a`; when the node is reached again
first, it is disarmed. One rename decides between the two. Source: interfaces(5), ifreload(8),
systemd-run(1).
"""

FOLDER = "/var/lib/phoenix/network"
ARMED_ALREADY = 3
NOT_YET = 4
TOO_LATE = 5
RELOAD_S = 30
"""Seconds that the node may take to load the old network again, after its timer fired."""

_REVERT = """cd {folder} || exit 1
mv armed-{token} reverting-{token} 2>/dev/null || exit 0
{{ cp -p before-{token} /etc/network/.interfaces-{token} &&
    mv /etc/network/.interfaces-{token} /etc/network/interfaces; }} 2>>log-{token} || exit 1
rm -f /etc/network/interfaces.new
tries=0
while ps -e -o args= 2>/dev/null | grep -q '[i]freload -a' && [ $tries -lt 20 ]; do
    tries=$((tries + 1)) # the bad network is still being loaded, and only one can be at work
    sleep 1
done
ifreload -a >>log-{token} 2>&1 || {{ sleep 1; ifreload -a >>log-{token} 2>&1; }}
mv reverting-{token} reverted-{token}
"""

_ARM = """set -eu
umask 077
mkdir -p {folder}
cd {folder}
command -v ifreload >/dev/null || {{ echo "it has no ifreload (ifupdown2)" >&2; exit 1; }}
for each in armed-* reverting-*; do
    [ -e "$each" ] || continue
    [ "$(cat "$each")" -ge "$(date +%s)" ] || {{ rm -f "$each"; continue; }}
    echo "another change of its network is under way: {folder}/$each" >&2
    exit {armed_already}
done
rm -f before-* revert-* log-* reverted-*
cp -p /etc/network/interfaces before-{token}
cat >revert-{token} <<'REVERT_ENDS_HERE'
{revert}REVERT_ENDS_HERE
echo "$(($(date +%s) + {seconds} + {reload_s}))" >armed-{token}
if [ -d /run/systemd/system ]; then
    systemd-run --quiet --collect --unit=phoenix-network-{token} --on-active={seconds} \\
        --timer-property=AccuracySec=100ms sh {folder}/revert-{token} || {{
        rm -f armed-{token}
        exit 1
    }}
else
    setsid sh -c 'sleep {seconds}; exec sh {folder}/revert-{token}' </dev/null >/dev/null 2>&1 &
fi
"""

_DISARM = """cd {folder} || exit 1
[ -e armed-{token} ] || exit {too_late}
echo "SSH_CONNECTION=${{SSH_CONNECTION-}}"
[ ! -e /etc/network/interfaces.new ] || exit {not_yet}
sleep 1
! ps -e -o args= 2>/dev/null | grep -qE '[i]freload -a|[U]PID:.*:srvreload:' || exit {not_yet}
{proof}
mv armed-{token} disarmed-{token} 2>/dev/null || exit {too_late}
[ ! -d /run/systemd/system ] || systemctl stop phoenix-network-{token}.timer 2>/dev/null
rm -f disarmed-{token} before-{token} revert-{token} log-{token}
"""

_STATE = """cd {folder} 2>/dev/null || exit 0
for each in armed reverting reverted; do [ ! -e $each-{token} ] || echo $each; done
tail -n 5 log-{token} 2>/dev/null
true
"""

_FIRE = """sh {folder}/revert-{token}
"""


def arm(token: str, seconds: int) -> str:
    """A script that arms the way back; `ARMED_ALREADY` where another change is under way."""
    return _ARM.format(
        folder=FOLDER,
        token=token,
        seconds=seconds,
        reload_s=RELOAD_S,
        armed_already=ARMED_ALREADY,
        revert=_REVERT.format(folder=FOLDER, token=token),
    )


def disarm(token: str, address: str | None, known: str) -> str:
    """A script that disarms, to be run by a new connection to `address`.

    `known` is the SSH_CONNECTION of before: the new one must be another, to that address; or, on
    the node itself, the gateway must answer. `NOT_YET`: ask again; `TOO_LATE`: the timer was first.
    """
    held = f"ip -o addr show to {address} | grep -q . || exit {NOT_YET}\n" if address else ""
    to = f"*' {address} '*" if address else "?*"
    proof = f"""{held}case "${{SSH_CONNECTION-}}" in
'{known}') gateway=$(ip route show default | sed -n 's/.* via \\([^ ]*\\).*/\\1/p;1q')
    [ -z "$gateway" ] || ping -c 1 -W 2 "$gateway" >/dev/null 2>&1 || exit {NOT_YET} ;;
{to}) ;;
*) exit {NOT_YET} ;;
esac"""
    return _DISARM.format(
        folder=FOLDER, token=token, proof=proof, not_yet=NOT_YET, too_late=TOO_LATE
    )


def state(token: str) -> str:
    """A script that prints `armed`, `reverting` or `reverted`, and the end of the log."""
    return _STATE.format(folder=FOLDER, token=token)


def fire(token: str) -> str:
    """A script that goes back at once."""
    return _FIRE.format(folder=FOLDER, token=token)
