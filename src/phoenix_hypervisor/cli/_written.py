"""Writes what `discover` found as the files of a folder that `validate` has nothing to say to.

A guest that the files can't say rightly is left out, with the reason; so is one that is stopped,
since the files would start it, unless it is named.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phoenix_hypervisor import app
from phoenix_hypervisor.cli import _schemas
from phoenix_hypervisor.config import spell
from phoenix_hypervisor.config.desire import stack_name
from phoenix_hypervisor.config.folder import FILES
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Gpu, Guest, Target
from phoenix_hypervisor.model.errors import PhoenixError, UsageError
from phoenix_hypervisor.model.inventory import FoundGuest, Inventory
from phoenix_hypervisor.model.problem import Problem

_IGNORED = ".phoenix-secrets.env*\n.phoenix/\n"
_HEAD = (
    "Written by `phoenix discover`. Keys that begin with _ are comments: they tell what the files "
    "have no words for, and what was left out. What a guest was made of (`template`) is a guess, "
    "which counts only where it is made anew. `phoenix adopt --all` takes the guests over."
)
_SSH_FILES = ("identity_file", "known_hosts", "config_file")


@dataclass(slots=True)
class Written:
    """What was written, and what was not and why."""

    folder: Path
    desired: Desired
    guests: tuple[Address, ...]
    left_out: dict[str, str] = field(default_factory=dict)


def refuse_if_there(folder: Path) -> None:
    """Raises `UsageError` where the folder has files already."""
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        raise UsageError(
            f"{folder} already has {', '.join(there)}: nothing was written",
            hint="choose another folder",
        )


def write(
    folder: Path, found: Inventory, asked: Desired, driver: str, words: Sequence[str]
) -> Written:
    """The three files, their schemas and .gitignore. `asked` tells the target's words.

    `words`: addresses, ids or names of the guests to write; none: all that fit.
    """
    refuse_if_there(folder)
    left_out: dict[str, str] = {}
    chosen = _chosen(found.guests, words, left_out)
    remarks = {str(one.address): list(one.unsaid) for one in chosen}
    guests = _named(chosen, remarks)
    target, stack = _target(asked, driver), stack_name(folder.resolve().name)
    gpus = tuple(_gpus(found, asked.target.node, left_out))

    def files() -> dict[str, Any]:
        notes = _notes(found) | ({"_left_out": left_out} if left_out else {})
        return spell.files(spell.Told(target, stack, guests, gpus, _HEAD, notes, remarks))

    while (bad := _unfit(files())) is not None:
        address, problem = bad
        left_out[address] = f"the files can't say it: {problem.message}"
        guests = [one for one in guests if one.address != address]
    folder.mkdir(parents=True, exist_ok=True)
    _put(folder, files())
    _schemas.write(folder / spell.SCHEMAS)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(_IGNORED)
    desired = app.read(folder, None, {}).desired
    if desired is None:
        raise PhoenixError(f"the files in {folder} have errors", hint="phoenix validate")
    return Written(folder, desired, tuple(one.address for one in guests), left_out)


def _chosen(
    guests: Iterable[FoundGuest], words: Sequence[str], left_out: dict[str, str]
) -> list[FoundGuest]:
    """Those that are to be written; the others with the reason in `left_out`."""
    guests = list(guests)
    unknown = [word for word in words if not any(_is(one, word) for one in guests)]
    if unknown:
        known = ", ".join(f"{one.address or one.name} ({one.name})" for one in guests)
        raise UsageError(
            f"there is no guest “{unknown[0]}” on the target", hint=f"there are: {known or 'none'}"
        )
    chosen = []
    for one in guests:
        is_named = any(_is(one, word) for word in words)
        if words and not is_named:
            continue
        if (reason := _hindrance(one, named=is_named)) is None:
            chosen.append(one)
        else:
            left_out[str(one.address or one.name)] = reason
    return chosen


def _hindrance(one: FoundGuest, *, named: bool) -> str | None:
    if one.words is None:
        return "; ".join(one.unsaid) or "its configuration can't be read"
    if named:
        return None
    if one.stack is not None:
        return f"it belongs to the stack {one.stack} already"
    if one.state != "running" and not one.is_template:
        return f"it is {one.state}, and the files would start it; name it to write it all the same"
    return None


def _is(one: FoundGuest, word: str) -> bool:
    ident = str(one.address or "").partition("/")[2]
    return word in (one.address, ident, one.name)


def _named(chosen: Iterable[FoundGuest], remarks: Mapping[str, list[str]]) -> list[Guest]:
    """The guests with names of their own: a target may have several of one name."""
    taken: set[str] = set()
    found = []
    for one in chosen:
        guest = one.words
        if guest is None:
            continue
        name = guest.name
        if name.lower() in taken:
            name = f"{guest.name}-{guest.id}"
            told = f"its name {guest.name} is taken by another one: the next apply renames it"
            remarks[str(one.address)].append(told)
        taken.add(name.lower())
        found.append(replace(guest, name=name))
    return found


def _gpus(found: Inventory, node: str | None, left_out: dict[str, str]) -> Iterable[Gpu]:
    """Of one node: the files count a host's cards from 0."""
    cards = [card for card in found.cards if card.gpu is not None]
    first = node or (cards[0].node if cards else "")
    for card in cards:
        if card.gpu is not None and card.node == first:
            yield card.gpu
        else:
            left_out[f"{card.node} {card.pci}"] = f"the files' `gpus` are those of {first}"


def _target(asked: Desired, driver: str) -> Target:
    """The target's words, with paths that are right in another folder too."""
    target = asked.target

    def absolute(name: str) -> str:
        return str((asked.folder / Path(name).expanduser()).absolute())

    ssh = {
        word: absolute(value) if word in _SSH_FILES and isinstance(value, str) else value
        for word, value in target.ssh.items()
    }
    ca_file = absolute(target.ca_file) if target.ca_file is not None else None
    known: Any = driver
    return replace(target, driver=known, ca_file=ca_file, ssh=ssh)


def _notes(found: Inventory) -> dict[str, Any]:
    return {
        "_nodes": {one.name: one.version for one in found.nodes},
        "_storages": {
            one.name: f"{one.kind}, takes {', '.join(one.content)}" for one in found.pools
        },
        "_bridges": {
            f"{one.name} on {one.node}" if one.node else one.name: one.cidr or "no address"
            for one in found.bridges
        },
    }


def _unfit(files: Mapping[str, Any]) -> tuple[Address, Problem] | None:
    """The first guest that `validate` takes for wrong."""
    with tempfile.TemporaryDirectory(prefix="phoenix-discover-") as scratch:
        _put(Path(scratch), files)
        problems = app.read(Path(scratch), None, {}).problems
    errors = [problem for problem in problems if problem.severity == "error"]
    for problem in errors:
        address = _address(problem, files)
        if address is not None:
            return address, problem
    if errors:
        raise PhoenixError(
            f"what was found makes no right files: {errors[0].message} ({errors[0].pointer})",
            hint="this is a bug in Phoenix; please report it",
        )
    return None


def _address(problem: Problem, files: Mapping[str, Any]) -> Address | None:
    parts = problem.pointer.split("/")[1:]
    match parts:
        case ["lxc_configs", ident, *_]:
            return Address(f"lxc/{ident}")
        case ["vms", index, *_]:
            return Address(f"vm/{files[problem.file]['vms'][int(index)]['vmid']}")
    return None


def _put(folder: Path, files: Mapping[str, Any]) -> None:
    for name, words in files.items():
        text = json.dumps(words, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
