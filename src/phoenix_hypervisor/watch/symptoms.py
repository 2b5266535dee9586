"""What is wrong inside a guest: a script that looks, and the reader of what it prints.

Source: systemctl(1), systemd.unit(5), proc_pid_status(5), sysfs-class-net (Linux, Documentation).
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.watch.alerting import plain

_SHOW = "Id,Type,LoadState,ActiveState,SubState,UnitFileState,ActiveEnterTimestamp"
_UP = 1
"""IFF_UP of netdevice(7)."""
_CHANGING = {
    "initializing": "starting",
    "starting": "starting",
    "stopping": "stopping",
    "offline": "stopping",
    "unknown": "stopping",
    "": "stopping",
}
"""What `systemctl is-system-running` says; nothing at all at the very end."""
_PLENTY = 64 * 1024**2
_MANY = 1000
"""Where so many bytes and more than so many inodes are free, a disk is not tried. What is free in
Btrfs says nothing of its quotas."""
_FAILED = 8
"""The last words of so many services that ended badly are read, of each line so many letters."""
_LONG = 300
# The folder may be somebody else's in the guest. `set -C` opens with O_EXCL, and nobody knows the
# name before: no link can be laid there. It is gone before anything is written.
_SCRIPT = """\
room() { (LC_ALL=C; export LC_ALL; set -C
try="$1/.phoenix-$(cat /proc/sys/kernel/random/uuid)"
{ rm -f "$try"; dd if=/dev/zero bs=262144 count=1 >&3; } 3>"$try"); }
own() { for file in /etc/systemd/system/*.service /etc/systemd/system/*.socket; do
if [ -f "$file" ] && [ ! -L "$file" ]; then basename "$file"; fi; done; }
units() { awk '{ print $1 }' | grep -v '@\\.' | sort -u; }
named=$({ own
systemctl list-units --all --no-legend --plain __PATTERNS__
systemctl list-unit-files --no-legend --plain __PATTERNS__
} 2>/dev/null | units)
units=$({ printf '%s\\n' $named
systemctl list-units --state=failed --no-legend --plain --type=service,socket
} 2>/dev/null | units)
[ -z "$units" ] || systemctl show --timestamp=unix -p __SHOW__ $units 2>/dev/null
echo
echo "now $(date +%s)"
echo "system $(systemctl is-system-running 2>/dev/null)"
lock=$(stat -c %i /var/lib/dpkg/lock-frontend 2>/dev/null) && grep -q ":$lock " /proc/locks &&
echo upgrading
for pid in $(grep -ls '^State:.*T (stopped)' /proc/[0-9]*/status | cut -d/ -f3); do
unit=$(grep -o '[^/]*\\.service' "/proc/$pid/cgroup" 2>/dev/null | tail -n 1)
[ -z "$unit" ] || echo "stopped $unit"
done
for folder in __FOLDERS__; do
[ -d "$folder" ] || continue
set -- $(stat -f -c '%a %S %c %d %T' "$folder" 2>/dev/null)
if [ "$5" != btrfs ] && [ $(($1 * $2)) -gt __PLENTY__ ]; then
if [ "$3" = 0 ] || [ "$4" -gt __MANY__ ]; then continue; fi
fi
said=$(room "$folder" 2>&1) || case $said in
*'No space left on device'* | *'quota exceeded'*) echo "full $folder" ;;
esac
done
for card in __CARDS__; do
sys=/sys/class/net/$card
if [ ! -e "$sys" ]; then echo "card $card absent"; continue; fi
addresses=$(ip -o address show dev "$card" scope global 2>/dev/null | wc -l)
echo "card $card $(cat $sys/flags) $(cat $sys/carrier 2>/dev/null || echo 0) $addresses"
done
[ -z "$named" ] || timeout 2 sh -c '__WORDS__' sh $named
"""
# What a service printed in the life that ended badly; how it ended, where its words don't say it.
_WORDS = """\
ended=$(systemctl list-units --state=failed,auto-restart --no-legend --plain "$@" 2>/dev/null)
for unit in $(echo "$ended" | awk "{ print \\$1 }" | head -n __FAILED__); do
export unit
life=$(systemctl show -p InvocationID --value "$unit" 2>/dev/null)
end=$(systemctl show -p Result --value "$unit" 2>/dev/null)
case $end in
oom-kill | watchdog | timeout) echo "it was ended by systemd: $end" ;;
*) journalctl --quiet --lines=2 --output=cat "_SYSTEMD_INVOCATION_ID=$life" 2>/dev/null ;;
esac | tail -n 2 | LC_ALL=C cut -c 1-__LONG__ |
awk "{ print \\"says \\" ENVIRON[\\"unit\\"] \\" \\" \\$0 }"
done
"""


@dataclass(frozen=True, slots=True)
class Symptoms:
    """What a look found. `silent` says why nothing could be asked inside; empty where it could.
    `changing` is `starting` or `stopping` while the guest as a whole does that, `upgrading` that
    packages are being installed, which stops and begins services.

    Of units: `dead` ones are to run and don't, `frozen` ones have processes that a signal stopped,
    `young` ones began within the time that is given to them, or systemd is about to begin them
    again, `serving` are the others that run. `full` are folders whose disk takes nothing more.
    `cut` are network cards that are away or lead nowhere, `idle` ones that are off or without an
    address, `taken` ones that somebody took away from the guest. `said` are the last words of
    services that ended badly, by unit.
    """

    silent: str = ""
    changing: str = ""
    upgrading: bool = False
    dead: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    young: tuple[str, ...] = ()
    serving: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    said: tuple[tuple[str, str], ...] = ()


def script(patterns: Iterable[str], folders: Sequence[str], cards: Sequence[str]) -> str:
    """POSIX shell that changes nothing. Where a disk seems full, or can't say how full it is, it
    writes into a file that has no name any more.

    `patterns` are the units that features of the guest run; those that were made in it by hand, or
    by a script of the folder, are looked at as well. `folders` are where its disks are mounted.
    """
    words = {
        "__PATTERNS__": shlex.join(patterns) or "phoenix-none.service",
        "__SHOW__": _SHOW,
        "__FOLDERS__": shlex.join(folders),
        "__CARDS__": shlex.join(cards),
        "__PLENTY__": str(_PLENTY),
        "__MANY__": str(_MANY),
        "__WORDS__": _WORDS,
        "__FAILED__": str(_FAILED),
        "__LONG__": str(_LONG),
    }
    text = _SCRIPT
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def read(said: str, patience_s: float, hide: Callable[[str], str] = str) -> Symptoms:
    """From what the script printed. `patience_s` is how long a unit may take to begin; `hide` takes
    secrets out of what services said.
    """
    shown, _, rest = said.rpartition("\nnow ")
    lines = ("now " + rest).split("\n")  # what a service said may hold other ends of lines
    now = float(lines[0].split()[1])
    units = [dict(_pair(line) for line in block.splitlines()) for block in shown.split("\n\n")]
    found: dict[str, list[str]] = {"dead": [], "young": [], "serving": []}
    for unit in units:
        if unit.get("Id") and (kind := _kind(unit, now, patience_s)):
            found[kind].append(unit["Id"])
    told = [[*line.split(), ""] for line in lines[1:]]
    frozen = dict.fromkeys(words[1] for words in told if words[0] == "stopped")
    cards = {words[1]: words[2:-1] for words in told if words[0] == "card"}
    return Symptoms(
        changing=next((_CHANGING.get(words[1], "") for words in told if words[0] == "system"), ""),
        upgrading=any(words[0] == "upgrading" for words in told),
        dead=tuple(found["dead"]),
        frozen=tuple(frozen),
        young=tuple(one for one in found["young"] if one not in frozen),
        serving=tuple(one for one in found["serving"] if one not in frozen),
        full=tuple(words[1] for words in told if words[0] == "full"),
        cut=tuple(card for card, words in cards.items() if _is_cut(words)),
        idle=tuple(card for card, words in cards.items() if _is_idle(words)),
        said=tuple(_said(lines, hide)),
    )


def _said(lines: Iterable[str], hide: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Each unit's lines as one."""
    by: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        unit, _, text = rest.partition(" ")
        if word == "says" and text.strip():
            by.setdefault(unit, []).append(hide(text))  # of each line: its end may be cut off
    yield from ((unit, plain(" · ".join(texts))) for unit, texts in by.items())


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key, value


def _kind(unit: dict[str, str], now: float, patience_s: float) -> str:
    """`dead`, `young` or `serving`; empty for one that has not to run, or does its work and ends.

    A service without `Type` (a socket has none) stands for itself.
    """
    if unit.get("LoadState") != "loaded" or unit.get("Type") == "oneshot":
        return ""
    active, state = unit.get("ActiveState", ""), unit.get("UnitFileState", "")
    if active in ("activating", "reloading", "deactivating"):
        return "young"
    if active == "active":
        if "Type" not in unit:
            return ""
        began = unit.get("ActiveEnterTimestamp", "").removeprefix("@")
        age = now - float(began) if began.isdecimal() else patience_s
        return "young" if age < patience_s else "serving"
    return "dead" if state.startswith("enabled") or state == "generated" else ""


def _is_cut(words: Sequence[str]) -> bool:
    return words[0] == "absent" or (bool(int(words[0], 16) & _UP) and words[1] == "0")


def _is_idle(words: Sequence[str]) -> bool:
    if words[0] == "absent":
        return False
    up = bool(int(words[0], 16) & _UP)
    return not up or (words[1] != "0" and words[2] == "0")
