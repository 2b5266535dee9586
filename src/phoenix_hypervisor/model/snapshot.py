"""Snapshots of a guest as a person works with them: taken by hand, gone back to, deleted."""

import re
from dataclasses import dataclass
from datetime import datetime

# Proxmox VE's rule (`pve-configid`, at most 40 characters) is the narrowest of the targets'.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,39}")
_RESERVED = ("current", "pending", "vzdump")


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that the target holds, and what going back to it means.

    `taken` is when, with its time zone; None where the target doesn't tell. `stack` is whose the
    guest was then, `fingerprint` what was configured inside. `whole` is False for one that can't
    be gone back to: it is being taken, or the guest was just being made then. `above` are newer
    snapshots, the newest first, that the target wants deleted before it goes back to this one.
    `left` are the guest's volumes that it does not hold: their data stays as it is.
    """

    name: str
    taken: datetime | None = None
    stack: str | None = None
    fingerprint: str | None = None
    whole: bool = True
    above: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def problem(name: str) -> str:
    """Why a snapshot can't have this name on every target; empty where it can."""
    if name.lower() in _RESERVED:
        return f"`{name}` is a name that Proxmox VE keeps for itself"
    if not _NAME.fullmatch(name):
        return (
            f"`{name}` is not the name of a snapshot: a letter, then letters, digits, - and _, "
            "from 2 to 40 characters"
        )
    return ""


def remarks(one: Taken, *, template: str | None, stack: str) -> str:
    """What people should know of a snapshot; `template` is the name the files give to clones'."""
    told = [
        "of the files, for clones" * (one.name == template),
        "before this stack managed it" * (one.stack != stack),
        "no way back" * (not one.whole),
    ]
    return ", ".join(filter(None, told))


def default_name(now: datetime) -> str:
    """A name from the time of day: `by-hand-20261122-043300`."""
    return f"by-hand-{now:%Y%m%d-%H%M%S}"
