"""Model servers as systemd units: what their features share.

Units are taken as all configuration is (`_take.py`): exactly the servers that differ restart, and
what ran before runs again where a new one doesn't come up.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.features._take import MARKERS, NewFile, differing, take
from phoenix_hypervisor.features._words import TOKEN_RULE, is_token
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Inside
from phoenix_hypervisor.model.secret import Secret

UNITS = "/etc/systemd/system"
NOTE = "# Made by Phoenix; changes made by hand are overwritten.\n"
_HEALTH = (
    "import sys, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(sys.argv[1], "
    "timeout=5)"
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


@dataclass(frozen=True, slots=True)
class EngineUnit:
    """One server as it is to run: its unit's name and its files, the unit's own among them.

    `health` is the address that answers 200 once the model is loaded, within `start_s` seconds.
    """

    unit: str
    files: tuple[NewFile, ...]
    health: str
    start_s: int


def exec_line(words: Sequence[str]) -> str:
    """A command as `ExecStart=` reads it, every word literally (systemd.service(5))."""
    return " ".join(
        '"' + "".join(_ESCAPES.get(char, char) for char in word) + '"' for word in words
    )


def visible_cards(gpus: Sequence[int], guest: Guest) -> tuple[int, ...] | None:
    """Numbers in the guest of cards that are named by the host's index; None: all of them.

    A container sees only its own cards, numbered anew in the host's order.
    """
    if not gpus:
        return None
    seen = sorted(guest.gpus)
    return tuple(seen.index(number) if number in seen else number for number in gpus)


def service_text(description: str, lines: Sequence[str]) -> str:
    """A unit that is kept running; `lines` are the words of its service."""
    return f"""\
{NOTE}[Unit]
Description={description}
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
{chr(10).join(lines)}

[Install]
WantedBy=multi-user.target
"""


def hardening(*, cards: bool) -> list[str]:
    """Words of systemd.exec(5) that close a server in, as far as it can still use its cards.

    `ProtectClock=` forbids all devices but the clock before systemd 253, and CUDA asks below
    /proc/sys.
    """
    closed = ["PrivateDevices=yes", "ProtectClock=yes", "ProtectKernelTunables=yes"]
    return [
        "CapabilityBoundingSet=",
        "LockPersonality=yes",
        "NoNewPrivileges=yes",
        *(["PrivateDevices=no"] if cards else closed),
        "ProtectControlGroups=yes",
        "ProtectHome=read-only",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "SystemCallArchitectures=native",
        "UMask=0077",
    ]


def card_groups() -> tuple[str, ...]:
    """Groups of the guest that may use graphics cards. Must be called in a deploy function."""
    from phoenix_hypervisor.features import _system

    return tuple(_system.ask("getent group video render | cut -d: -f1 || true").split())


def checked_key(key: str, title: str) -> str:
    """The key itself. Raises `ConfigureFailed` for one that doesn't keep `TOKEN_RULE`."""
    if not is_token(key):
        raise ConfigureFailed(
            f"the api_key of {title} must have {TOKEN_RULE}",
            hint="`openssl rand -hex 32` makes a good one",
        )
    return key


def check_keys(keys: Mapping[str, Secret | None], inside: Inside) -> None:
    """Refuses a server's key (by title) before anything is done. Raises `ConfigureFailed`."""
    for title, key in keys.items():
        if key is not None:
            checked_key(inside.reveal(key), title)


def bring_up(
    what: str,
    prefix: str,
    wanted: Sequence[EngineUnit],
    *,
    new: frozenset[str] = frozenset(),
    leaves: Callable[[str], Sequence[str]],
) -> None:
    """Makes exactly these servers run, of all whose units begin with `prefix`.

    `new` are units whose model or program is another one, though their files may be as before.
    `leaves` tells, by the last part of a unit's name, the files that such a server may have beside
    its unit; those that it is not to have are removed. Must be called in a deploy function.
    """
    from phoenix_hypervisor.features import _system

    names = {each.unit for each in wanted}
    said = _system.ask(f"cd {UNITS} && ls -d {prefix}*.service 2>/dev/null || true")
    gone = [unit for unit in said.split() if unit not in names]
    broken_off = _system.ask(f"test -e '{MARKERS}/{what}' && echo yes || true") == "yes"
    changed = [each for each in wanted if broken_off or each.unit in new or differing(each.files)]
    if changed or gone:
        take(
            what,
            [file for each in changed for file in each.files],
            accept=accept_script(changed, gone),
            undo=undo_script(changed, gone),
            force=True,
        )
    for unit in gone:
        title = unit.removeprefix(prefix).removesuffix(".service")
        _system.run(f"Remove {unit}", forget_script(unit, leaves(title)))
    for each in wanted:
        title = each.unit.removeprefix(prefix).removesuffix(".service")
        for path in set(leaves(title)) - {file.path for file in each.files}:
            _system.no_file(path)
        _system.service(each.unit)


def forget_script(unit: str, files: Sequence[str]) -> str:
    """Shell words that remove a unit with its files."""
    return (
        f"systemctl disable --now {unit} 2>/dev/null || true\n"
        f"rm -f {' '.join([f'{UNITS}/{unit}', *files])}\nsystemctl daemon-reload\n"
        f"systemctl reset-failed {unit} 2>/dev/null || true"
    )


def accept_script(changed: Sequence[EngineUnit], gone: Sequence[str]) -> str:
    """Shell words that run the changed servers anew, one after the other, and stop those that go.

    They fail, with the server's own last words, where one doesn't come up.
    """
    units = " ".join([*(each.unit for each in changed), *gone])
    starts = "\n".join(
        f"up {each.unit} {shlex.quote(each.health)} {each.start_s}" for each in changed
    )
    return f"""
since=$(date '+%Y-%m-%d %H:%M:%S')
words() {{ journalctl -u "$1" --since "$since" -n 40 --no-pager -o cat; }}
up() {{
    systemctl start "$1" || {{ words "$1"; exit 1; }}
    end=$(( $(date +%s) + $3 ))
    until said=$(python3 -c {shlex.quote(_HEALTH)} "$2" 2>&1); do
        if [ "$(systemctl show -p NRestarts --value "$1")" != 0 ]; then
            echo "$1 ended:"; words "$1"; exit 1
        fi
        if [ $(date +%s) -ge $end ]; then
            echo "$2 did not answer within $3 s: $(echo "$said" | tail -n 1)"
            words "$1"; exit 1
        fi
        sleep 0.3
    done
}}
systemctl stop {units} 2>/dev/null || true
systemctl daemon-reload
{starts}
"""


def undo_script(changed: Sequence[EngineUnit], gone: Sequence[str]) -> str:
    """Shell words that run again what ran before."""
    units = " ".join([*(each.unit for each in changed), *gone])
    return (
        f"systemctl stop {units} 2>/dev/null\nsystemctl daemon-reload\n"
        f"for unit in {units}; do\n"
        f'    if [ -e {UNITS}/"$unit" ]; then systemctl start --no-block "$unit"; fi\ndone'
    )
