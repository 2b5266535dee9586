"""The text of a container's file, /etc/pve/lxc/<id>.conf: what the API can't change in it.

Pure. All lines that are not asked for stay as they are, byte for byte and in order. The file has
the current configuration first, with its notes as `#` lines, then a section for pending changes
and one for each snapshot. Source: pct.conf(5), PVE::LXC::Config (parse_pct_config).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

from phoenix_hypervisor.model.errors import DriverError

_MOUNTS = 256

Raw = tuple[tuple[str, str], ...]

ENVIRONMENT = "lxc.environment.runtime"
"""Newer releases keep this key's lines as the option `env`, which the API can set."""

_SECTION = re.compile(r"\[(?:[a-z][a-z0-9_\-]+|pve:pending)\]\s*", re.IGNORECASE)
_RAW = re.compile(r"(lxc\.[a-z0-9_\-.]+)(?::|\s*=)\s*(.*?)\s*")
_OPTION = re.compile(r"([a-z][a-z_]*\d*):\s*(.+?)\s*")
_MOUNT = re.compile(r"mp\d+:\s*(.+?)\s*")


def digest(data: bytes) -> str:
    """What Proxmox VE calls the configuration's digest: the SHA-1 of the file."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def lock(text: str) -> str | None:
    """The lasting lock that a task set, such as `backup`; nobody may then change the file."""
    return _options(_current(text)).get("lock")


def raw(text: str) -> Raw:
    """The raw `lxc.*` pairs of the current configuration, in order, without the environment."""
    pairs = (_RAW.fullmatch(line.rstrip("\n")) for line in _current(text))
    return tuple((pair[1], pair[2]) for pair in pairs if pair and pair[1] != ENVIRONMENT)


def with_raw(text: str, wanted: Iterable[tuple[str, str]]) -> str:
    """The text with these raw pairs and no others, in this order; the rest is as it was.

    The environment's lines are only touched where `wanted` holds one. Raises `DriverError` for a
    key or value that the file can't hold.
    """
    pairs = tuple((key, value.strip()) for key, value in wanted)
    for key, value in pairs:
        found = _RAW.fullmatch(f"{key}: {value}")
        if found is None or found.groups() != (key, value) or not value:
            raise DriverError(
                f"“{key}: {value}” can't stand in a container's file",
                hint="a raw option is one line of the form lxc.key: value",
            )
    own = {ENVIRONMENT} if any(key == ENVIRONMENT for key, _ in pairs) else set[str]()
    lines = _current(text)
    there = [(at, pair) for at, line in enumerate(lines) if (pair := _managed(line, own))]
    if tuple(pair for _, pair in there) == pairs:
        return text
    as_written = {pair: lines[at] for at, pair in there}
    added = [as_written.get(pair, f"{pair[0]}: {pair[1]}\n") for pair in pairs]
    dropped = {at for at, _ in there}
    kept = [(at, line) for at, line in enumerate(lines) if at not in dropped]
    first = there[0][0] if there else _end(lines)
    before = [line for at, line in kept if at < first]
    after = [line for at, line in kept if at >= first]
    return _joined([*before, *added, *after], text)


def host_mounts(text: str) -> tuple[str, ...]:
    """The lines of bind and device mounts (`mp0: /srv/data,mp=/data`), without newlines."""
    return tuple(line.strip() for line in _current(text) if _is_host_mount(line))


def without_host_mounts(text: str) -> str:
    """The text without these lines: with one, Proxmox VE takes no snapshot and makes no clone."""
    lines = _current(text)
    return _joined([line for line in lines if not _is_host_mount(line)], text)


def with_host_mounts(text: str, mounts: Sequence[str]) -> str:
    """The text with these lines again, each where Proxmox VE sorts it.

    One whose folder in the container is mounted by now is left out. Where another mount has its
    number by now, it gets a free one.
    """
    lines = _current(text)
    for mount in mounts:
        options = _options(lines)
        if _target(mount.partition(":")[2]) in map(_target, options.values()):
            continue
        key, _, value = mount.partition(":")
        free = (f"mp{number}" for number in range(_MOUNTS))
        if key in options:
            key = next((each for each in free if each not in options), key)
        lines.insert(_place(lines, key), f"{key}:{value}\n")
    return _joined(lines, text)


def _current(text: str) -> list[str]:
    """The lines of the current configuration, each with its newline."""
    lines: list[str] = re.findall(r"[^\n]*\n|[^\n]+", text)
    for at, line in enumerate(lines):
        if _SECTION.fullmatch(line):
            return lines[:at]
    return lines


def _joined(current: Sequence[str], text: str) -> str:
    rest = text[sum(map(len, _current(text))) :]
    whole = "".join(
        line if line.endswith("\n") or (at == len(current) - 1 and not rest) else line + "\n"
        for at, line in enumerate(current)
    )
    return whole + rest


def _is_host_mount(line: str) -> bool:
    found = _MOUNT.fullmatch(line.rstrip("\n"))
    for part in found[1].split(",") if found else ():
        key, equals, value = part.partition("=")
        if not equals or key == "volume":
            return (value if equals else key).startswith("/")
    return False


def _managed(line: str, own: set[str]) -> tuple[str, str] | None:
    pair = _RAW.fullmatch(line.rstrip("\n"))
    if pair is None or (pair[1] == ENVIRONMENT and ENVIRONMENT not in own):
        return None
    return pair[1], pair[2]


def _end(lines: Sequence[str]) -> int:
    """Where the last line that is not blank ends."""
    return max((at + 1 for at, line in enumerate(lines) if line.strip()), default=0)


def _options(lines: Sequence[str]) -> dict[str, str]:
    found = (_OPTION.fullmatch(line.rstrip("\n")) for line in lines)
    return {pair[1]: pair[2] for pair in found if pair}


def _target(mount: str) -> str | None:
    """The folder in the container that a mount's value names."""
    parts = (part.strip().partition("=") for part in mount.split(","))
    return next((value for key, _, value in parts if key == "mp"), None)


def _place(lines: Sequence[str], key: str) -> int:
    """Before the first option that sorts after the key, else after the last option."""
    last = 0
    for at, line in enumerate(lines):
        if line.startswith("#"):
            last = at + 1
        elif (found := _OPTION.fullmatch(line.rstrip("\n"))) and not line.startswith("lxc."):
            if found[1] > key:
                return at
            last = at + 1
    return last
