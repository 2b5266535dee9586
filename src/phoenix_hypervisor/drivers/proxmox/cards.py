"""The PCI cards of a node: which there are, what NVIDIA's driver says of them, and who uses them.

Source: the Proxmox VE API documentation, `/nodes/{node}/hardware/pci` and `/cluster/mapping/pci`;
the classes of pci.ids (`03`: display, `12`: accelerators); `nvidia-smi --help-query-gpu`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.property import parse
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Gpu
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.inventory import FoundCard, FoundGuest

NVIDIA = "0x10de"
_DISPLAY = ("0x03", "0x12")
_SMI = "nvidia-smi --query-gpu=index,name,memory.total,pci.bus_id --format=csv,noheader,nounits"
_COLUMNS = 4
_ENDING = re.compile(r"\.[0-7]$")


async def of_node(api: Api, node: str, notes: list[str]) -> list[FoundCard]:
    """Its graphics cards and accelerators, and every card that has a mapping."""
    try:
        rows = await api.get(path("nodes", node, "hardware", "pci"))
    except PhoenixError as error:
        notes.append(f"the PCI cards of {node} can't be seen: {error.message}")
        return []
    try:
        mappings = await api.get("/cluster/mapping/pci")
    except PhoenixError as error:
        notes.append(f"the mappings of PCI cards can't be seen: {error.message}")
        mappings = []
    return read(node, rows or (), mappings or ())


def read(
    node: str, rows: Iterable[Mapping[str, Any]], mappings: Iterable[Mapping[str, Any]]
) -> list[FoundCard]:
    """From the two lists. Graphics cards are counted as NVIDIA counts them: by their address."""
    named = {
        whole(parts["path"]): str(mapping["id"])
        for mapping in mappings
        for parts in map(parse, mapping.get("map") or ())
        if parts.get("node") == node and "path" in parts
    }
    found = []
    number = 0
    for row in sorted(rows, key=lambda row: str(row["id"])):
        address, kind = str(row["id"]), str(row.get("class", ""))
        mapping = named.get(whole(address))
        if address.endswith(".0"):  # a mapping of all functions is shown at the first
            mapping = mapping or named.get(_ENDING.sub("", whole(address)))
        display = kind.startswith(_DISPLAY)
        if not display and mapping is None:
            continue
        maker, model = row.get("vendor_name"), row.get("device_name")
        name = " ".join(str(each) for each in (maker, model) if each) or str(row.get("device", ""))
        gpu = None
        if display and row.get("vendor") == NVIDIA:
            gpu = Gpu(number, name, None, whole(address), mapping)
            number += 1
        group = row.get("iommugroup", -1)
        found.append(
            FoundCard(
                pci=whole(address),
                name=name,
                node=node,
                gpu=gpu,
                group=None if group in (None, -1) else int(group),
                mapping=mapping,
            )
        )
    return found


async def with_nvidia(
    channels: Channels, node: str, cards: list[FoundCard], notes: list[str]
) -> list[FoundCard]:
    """With index, name and memory as NVIDIA's driver on the node tells them, where it is there."""
    if not any(card.gpu is not None and card.node == node for card in cards):
        return cards
    try:
        answer = await channels.of(node).run(_SMI, "what NVIDIA's driver says of its cards")
    except PhoenixError as error:
        notes.append(f"NVIDIA's driver on {node} can't be asked: {error.message}")
        return cards
    if not answer.ok:
        notes.append(f"nvidia-smi on {node} says nothing; the order of its cards is a guess")
        return cards
    told = {gpu.pci: gpu for gpu in from_smi(answer.said().out)}
    return [_told(card, told) if card.node == node else card for card in cards]


def from_smi(text: str) -> list[Gpu]:
    """From lines such as `0, NVIDIA RTX 6000, 49140, 00000000:01:00.0`."""
    rows = ([part.strip() for part in line.split(",")] for line in text.splitlines())
    return [
        Gpu(int(index), name, int(memory) if memory.isdigit() else None, whole(bus[-12:]))
        for index, name, memory, bus in (row for row in rows if len(row) == _COLUMNS)
        if index.isdigit()
    ]


def with_users(cards: Sequence[FoundCard], guests: Iterable[FoundGuest]) -> tuple[FoundCard, ...]:
    """With the guests that each is given to, by its address, mapping or device file."""
    users = [(one.node, one.address, each) for one in guests for each in one.cards if one.address]
    return tuple(replace(card, users=tuple(dict.fromkeys(_users(card, users)))) for card in cards)


def whole(address: str) -> str:
    """A PCI address in small letters with its domain, of four digits."""
    text = address.strip().lower()
    return text if text.count(":") > 1 else f"0000:{text}"


def _users(card: FoundCard, users: Iterable[tuple[str, Address, str]]) -> Iterable[Address]:
    for node, address, used in users:
        if node != card.node:
            continue
        by_file = card.gpu is not None and used == f"/dev/nvidia{card.gpu.index}"
        by_address = ":" in used and whole(used) in (card.pci, _ENDING.sub("", card.pci))
        if by_file or by_address or (card.mapping is not None and used == card.mapping):
            yield address


def _told(card: FoundCard, told: Mapping[str | None, Gpu]) -> FoundCard:
    gpu = told.get(card.pci)
    if gpu is None or card.gpu is None:
        return card
    return replace(card, gpu=replace(gpu, mapping=card.mapping))
