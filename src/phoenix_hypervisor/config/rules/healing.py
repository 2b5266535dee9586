"""Healing: what loses data is only done where the files allow it and nothing is to be kept."""

from collections.abc import Iterator

from phoenix_hypervisor.config.desire.healing import heal
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.model.heal import LOSING
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Steps that would lose what is to be kept, or that nothing is there for."""
    for guest in folder.guests:
        said = guest.words.heal
        if said is None:
            continue
        for index, step in enumerate(said.steps):
            place = ("heal", "steps", index)
            if step in LOSING and guest.words.protected:
                message = f"{guest.label} is protected, and `{step}` loses what it holds"
                yield guest.spot.error(place, message, f"leave out `{step}` or `protected`")
            elif step == "recreate":
                yield from _recreate(folder, guest, index)
            elif step == "rollback" and heal(guest.words).snapshot is None:
                message = f"{guest.label} names no snapshot to go back to"
                hint = 'add "snapshot": "…" to `heal`: one that you take while it is well'
                yield guest.spot.error(place, message, hint)
        written = guest.spot.raw("heal")
        if isinstance(written, dict) and written.get("steps") == [] and not guest.rests:
            message = f"{guest.label} names no step: nothing is healed, as by `false`"
            hint = 'write "heal": false, or leave `steps` out for the usual ones'
            yield guest.spot.warning(("heal", "steps"), message, hint, key=True)
        if said.snapshot is not None and "rollback" not in said.steps:
            message = "`snapshot` is not used: `rollback` is not among the steps"
            yield guest.spot.warning(("heal", "snapshot"), message, "remove one of both", key=True)
        if said.steps and guest.rests:
            message = f"{guest.label} is a template, which does not run: nothing is healed"
            yield guest.spot.warning(("heal",), message, "remove `heal`", key=True)


def _recreate(folder: Folder, guest: AnyEntry, index: int) -> Iterator[Problem]:
    words, place, keeps = guest.words, ("heal", "steps", index), folder.vocabulary.keeps
    hint = "leave out `recreate`: it is for guests that keep nothing"
    if isinstance(words, Container) and (words.volumes or words.zfs_volumes):
        message = f"{guest.label} has volumes, and `recreate` would lose what they hold"
        yield guest.spot.error(place, message, hint)
    for use in guest.features:
        if use.name in keeps:
            message = f"{use.name} keeps {keeps[use.name]} in {guest.label}: `recreate` loses that"
            yield guest.spot.error(place, message, hint)
