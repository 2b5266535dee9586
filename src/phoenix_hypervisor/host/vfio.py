"""VFIO: cards that virtual machines have for themselves are kept away from the host's own drivers.

A card is taken at boot by its vendor and device ids. Where the host has another card of the same
ids, which it keeps, that can't be: then Proxmox VE takes it when its machine starts.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from phoenix_hypervisor.host import _pci, _vfio
from phoenix_hypervisor.host._pci import Function
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError
from phoenix_hypervisor.model.node import Node

ADDRESS = Address("host/vfio")
_TAKERS = ("vfio-pci", None)
_UPDATE_S = 600.0


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards of machines: `given` maps functions to the machine; `ids` are taken at boot."""

    given: Mapping[str, Address] = field(default_factory=dict)
    functions: tuple[Function, ...] = ()
    ids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Vfio:
    """Modules, their options and the IOMMU."""

    name = "vfio"
    turn = 60

    async def look(self, node: Node, desired: Desired) -> Seen:
        """The node's PCI cards, its IOMMU, and what is configured. Nothing of files that differ."""
        said = await node.run(_vfio.LOOK + _pci.LOOK, "looking at the node's PCI cards")
        if said.status:
            raise PhoenixError(f"the node's PCI cards can't be seen: {said.err.strip()}")
        named = sorted({c.mapping for c in desired.host.setup.cards.passed if c.mapping})
        mappings = await node.get("/cluster/mapping/pci") if named and node.is_pve else []
        at = {name: ";".join(_pci.paths(mappings, name, node.name)) for name in named}
        return Seen(facts={"look": said.out, "mappings": dict(at)})

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """What is to be written, and whether a restart is outstanding."""
        del choice
        printed = str(seen.facts.get("look", ""))
        facts, there = _facts(printed), _pci.read(printed)
        mappings = seen.facts.get("mappings")
        cards = sort(desired, there, mappings if isinstance(mappings, dict) else {})
        if not cards.given:
            none = not desired.host.setup.cards.passed
            return Decided(tuple(_given_back(facts)) if none else (), notes=cards.notes)
        refusal = _no_iommu(facts)
        if refusal:
            return Decided(refusals=(refusal,), notes=cards.notes)
        notes = (*cards.notes, *_notes(cards, there), *_foreign(printed))
        fields = tuple(_differing(facts, cards))
        machines = ", ".join(sorted(set(cards.given.values())))
        if fields:
            task = Task(
                ADDRESS,
                Action.UPDATE if facts.get("options") else Action.CREATE,
                fields,
                f"cards of {machines} are kept away from the host's own drivers",
                estimate_s=60.0,
                restarts=f"vfio-pci takes the cards of {machines} when the node boots",
            )
            return Decided((task,), notes=notes)
        return Decided(notes=notes, restarts=tuple(_outstanding(facts, cards)))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Writes the files and makes the boot images anew; nothing changes before a restart."""
        if task.action is Action.DELETE:
            script = _vfio.GIVE_BACK
        else:
            seen = await self.look(node, desired)
            printed, mappings = str(seen.facts["look"]), seen.facts["mappings"]
            cards = sort(desired, _pci.read(printed), mappings)
            parameter = any(one.path == "kernel command line" for one in task.fields)
            script = _vfio.take_script(cards.ids, parameter=parameter)
        tell("writing the options of vfio-pci, and making the boot images anew")
        said = await node.run(script, "vfio-pci's options", timeout_s=_UPDATE_S)
        if said.status:
            raise ConfigureFailed("vfio-pci can't be configured", detail=said.out + said.err)


def sort(desired: Desired, there: Sequence[Function], mappings: Mapping[str, object]) -> Cards:
    """Which functions go to which machine, and which ids can be taken without taking another's."""
    given: dict[str, Address] = {}
    notes: list[str] = []
    for card in desired.host.setup.cards.passed:
        named = card.address or f"the mapping {card.mapping}"
        mapped = str(mappings.get(card.mapping or "", ""))
        at = [card.address] if card.address else mapped.split(";")
        found = [one for address in at if address for one in _pci.of(address, there)]
        if not found:
            notes.append(f"{card.guest} is given {named}, which is no card of this node")
        given |= {one.address: card.guest for one in found if not one.is_bridge}
    own = [one for one in there if one.address in given]
    kept = {one.ids for one in there if one.address not in given}
    ids = sorted({one.ids for one in own} - kept)
    for twin in sorted({one.ids for one in own} & kept):
        machines = ", ".join(sorted({given[one.address] for one in own if one.ids == twin}))
        notes.append(
            f"the card {twin} of {machines} is not kept for it from boot on: the host has another "
            "one of the same ids. Proxmox VE takes it from the host when the machine starts"
        )
    return Cards(given, tuple(own), tuple(ids), tuple(notes))


def _differing(facts: Mapping[str, str], cards: Cards) -> Iterator[FieldChange]:
    options, before = _vfio.options_text(cards.ids), facts.get("ids") or None
    if facts.get("options") != _sha(options):
        wanted = ",".join(cards.ids)
        same = before == (wanted or None)
        yield FieldChange(
            "ids",
            "with other options" if same and facts["options"] else before,
            wanted or "none, taken at their start",
        )
    if facts.get("modules") != _sha(_vfio.MODULES_TEXT):
        yield FieldChange("modules", None, "vfio, vfio_iommu_type1, vfio_pci")
    if facts["groups"] == "0" and facts["parameter"] == "missing":
        yield FieldChange("kernel command line", None, _vfio.PARAMETER)


def _no_iommu(facts: Mapping[str, str]) -> str | None:
    """Why no card can be given to a machine, whatever is written."""
    is_intel = facts.get("vendor") == "GenuineIntel"
    if facts["groups"] != "0" or (is_intel and _vfio.PARAMETER not in facts["running"].split()):
        return None
    name = "VT-d" if is_intel else "IOMMU (AMD-Vi)"
    return (
        "the node has no IOMMU groups (/sys/kernel/iommu_groups is empty), so that no card can be "
        f"given to a virtual machine: switch {name} on in the firmware's settings"
    )


def _notes(cards: Cards, there: Sequence[Function]) -> Iterator[str]:
    groups = {one.group: cards.given[one.address] for one in cards.functions if one.group}
    for one in there:
        if one.group in groups and one.address not in cards.given and not one.is_bridge:
            yield (
                f"{one.address} ({one.ids}) is in the IOMMU group {one.group} of a card of "
                f"{groups[one.group]}: they can only be given away together, so its machine "
                "won't start"
            )
    for one in cards.functions:
        if one.shows_boot:
            yield (
                f"{one.address} of {cards.given[one.address]} is the card that shows the node's "
                "console: from the next boot on it shows none"
            )


def _foreign(printed: str) -> Iterator[str]:
    for line in printed.splitlines():
        if line.startswith("foreign "):
            yield f"{line.removeprefix('foreign ')} has ids of vfio-pci too: they stay as they are"


def _outstanding(facts: Mapping[str, str], cards: Cards) -> Iterator[str]:
    if facts["groups"] == "0":
        yield f"the kernel was not started with {_vfio.PARAMETER} yet"
    for one in cards.functions:
        if one.ids in cards.ids and one.driver not in _TAKERS:
            yield f"{one.address} of {cards.given[one.address]} is still held by {one.driver}"


def _given_back(facts: Mapping[str, str]) -> Iterator[Task]:
    if facts.get("options"):
        yield Task(
            ADDRESS,
            Action.DELETE,
            (FieldChange("ids", facts.get("ids") or None, None),),
            "no virtual machine of the files has a card any more",
            estimate_s=60.0,
            restarts="cards of virtual machines go back to the host's own drivers",
        )


def _facts(printed: str) -> dict[str, str]:
    """Words and values; a value may be empty."""
    lines = (line.partition(" ") for line in printed.splitlines())
    found = {word: value.strip() for word, _, value in lines if word not in ("pci", "foreign")}
    return {"groups": "0", "parameter": "missing", "running": "", "options": ""} | found


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


PART = Vfio()
