"""The user that Phoenix itself comes in as keeps its keys and its `sudo`: else it is refused.

It changes nothing: people are made by the feature `base_setup`. Root's keys are only ever added to.

Sources: sudo(8) for SUDO_USER, pam_loginuid(8) for who logged in, sudoers(5): the last rule that
fits decides, and files of /etc/sudoers.d are read in the order of their names.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task
from phoenix_hypervisor.model.desired import Desired, HostUser
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.node import Node

_MARK = "# Made by Phoenix"
_LOOK = """\
name=${SUDO_USER:-}
uid=$(cat /proc/self/loginuid 2>/dev/null)
case "$name$uid" in '' | 0 | 4294967295 | *[!0-9]*) ;; *) name=$(id -nu "$uid" 2>/dev/null) ;; esac
[ -n "$name" ] && [ "$name" != root ] || exit 0
echo "name $name"
echo "groups $(id -nG "$name")"
home=$(getent passwd "$name" | cut -d: -f6)
runuser -u "$name" -- cat "$home/.ssh/authorized_keys" 2>/dev/null | sed 's/^/key /'
[ -n "${SUDO_USER:-}" ] || exit 0
for file in /etc/sudoers /etc/sudoers.d/*; do
    case "${file##*/}" in *.* | *'~') continue ;; esac
    [ ! -f "$file" ] || sed "s|^|sudo ${file##*/} |" "$file"
done
"""
_KEY = re.compile(r"AAAA[A-Za-z0-9+/=]+")
_RULE = re.compile(
    r"(\S+)\s+\S+?\s*=\s*(?:\([^)]*\)\s*)?((?:[A-Z_]+:\s*)*)(?:ALL|\S*/(?:ba|da)?sh\b.*)\s*\Z"
)
"""Who may run everything, or a shell, and the tags of that, such as `NOPASSWD:`."""


@dataclass(frozen=True, slots=True)
class Comer:
    """Who Phoenix comes in as. `rules` are files of sudoers with a line of them each, in order.

    They are empty where it does not become root by `sudo`.
    """

    name: str
    groups: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    rules: tuple[tuple[str, str], ...] = ()

    def is_root_without_password(self, rules: Sequence[tuple[str, str]]) -> bool:
        """Whether these rules let the user become root unasked; the last one that fits decides."""
        own = {self.name, "ALL", *(f"%{group}" for group in self.groups)}
        fits = [found for _, line in rules if (found := _RULE.match(line)) and found[1] in own]
        return bool(fits) and "NOPASSWD:" in fits[-1][2]


class WayIn:
    """Judges what the files say of the user that Phoenix comes in as."""

    name = "way_in"
    turn = 5

    async def look(self, node: Node, desired: Desired) -> Seen:
        """Who that is, with its keys and the rules of sudo. Nothing where no people are made."""
        if not (desired.host.users or desired.host.timezone):
            return Seen()
        said = await node.run(_LOOK, "the keys and the sudo of who Phoenix comes in as")
        if said.status:
            raise PhoenixError(f"who Phoenix comes in as can't be seen: {said.err.strip()}")
        return Seen(facts={"look": said.out})

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Refusals alone."""
        del choice
        comer = read(str(seen.facts.get("look", "")))
        if comer is None:
            return Decided()
        wanted = next((one for one in desired.host.users if one.username == comer.name), None)
        return Decided(refusals=(*_keys(comer, wanted), *_sudo(comer, wanted)))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """There is never a task."""


def read(printed: str) -> Comer | None:
    """What the look printed; None: it comes in as root, or it can't be known."""
    lines = [line.partition(" ")[::2] for line in printed.splitlines()]
    one = dict(lines)
    if "name" not in one:
        return None
    rules = (value.partition(" ")[::2] for word, value in lines if word == "sudo")
    return Comer(
        one["name"],
        tuple(one.get("groups", "").split()),
        tuple(value.strip() for word, value in lines if word == "key" and value.strip()),
        tuple(sorted(rules, key=lambda rule: (rule[0] != "sudoers", rule[0]))),
    )


def _keys(comer: Comer, wanted: HostUser | None) -> Iterator[str]:
    """Keys that would go; which of them is used now is not known, so that none may."""
    is_ours = any(key.startswith(_MARK) for key in comer.keys)
    if wanted is None or not (wanted.ssh_keys or is_ours):
        return
    kept = {blob for key in wanted.ssh_keys for blob in _KEY.findall(key)[:1]}
    there = {blob: key for key in comer.keys for blob in _KEY.findall(key)[:1] if key[0] != "#"}
    lost = [_short(key, blob) for blob, key in there.items() if blob not in kept]
    if lost:
        yield (
            f"users: Phoenix comes in as {comer.name}, who would lose {', '.join(lost)}: add "
            f"{'them' if len(lost) > 1 else 'it'} to `ssh_public_key` of {comer.name}, or, where "
            "you come in by another one, take the line out of its ~/.ssh/authorized_keys by hand"
        )


def _short(key: str, blob: str) -> str:
    """A key as people tell them apart: by its end and its remark."""
    remark = key.partition(blob)[2].strip()
    return f"the key …{blob[-12:]}" + (f" ({remark})" if remark else "")


def _sudo(comer: Comer, wanted: HostUser | None) -> Iterator[str]:
    own = f"phoenix-{comer.name}"
    has_own = any(file == own for file, _ in comer.rules)
    stays = wanted is not None and wanted.sudo
    if not comer.is_root_without_password(comer.rules) or not (has_own or stays):
        return
    line = f"{comer.name} ALL=(ALL:ALL) {'ALL' if wanted and wanted.password_hash else _FREE}"
    rules = [rule for rule in comer.rules if rule[0] != own] + [(own, line)] * stays
    rules.sort(key=lambda rule: (rule[0] != "sudoers", rule[0]))
    if not comer.is_root_without_password(rules):
        why = "has a password, which sudo would ask for" if stays else "loses `sudo_access`"
        yield (
            f"users: Phoenix becomes root as {comer.name}, who {why}: leave `sudo_access` on and "
            f"`password_hash` out, or let {comer.name} become root without a password by a file "
            f"of /etc/sudoers.d whose name sorts after {own}"
        )


_FREE = "NOPASSWD: ALL"
PART = WayIn()
