"""From the fields that a guest shows back to a guest that the files could ask for.

The other direction of `fields.guest_fields`: with what comes out of here in the files, the guest
that is there has nothing to be changed, as far as there are words for it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import (
    Boot,
    Firewall,
    FirewallRule,
    Guest,
    Image,
    Json,
    Mount,
    Nic,
    PciDevice,
    Volume,
)

_LONGEST_NAME = 50


def guest(
    address: Address,
    fields: Mapping[str, Json],
    source: str,
    *,
    raw: Iterable[tuple[str, str]] = (),
    options: Iterable[tuple[str, str]] = (),
    is_template: bool = False,
) -> Guest:
    """The guest that shows these fields; made of the template `source`.

    `raw` and `options` come in their own order, which fields don't tell; so those of the fields
    don't count here.
    """
    shown: Mapping[str, Any] = fields
    kind = addresses.kind(address)
    return Guest(
        address=address,
        kind="vm" if kind == "vm" else "lxc",
        id=int(addresses.ident(address)),
        name=str(shown.get("name") or ""),
        source=Image(source),
        memory_mb=shown["memory_mb"],
        cores=shown["cores"],
        swap_mb=shown.get("swap_mb"),
        pool=shown.get("pool"),
        disk_gb=shown.get("disk_gb") or None,
        nics=tuple(_nics(fields)),
        mounts=tuple(
            Mount(each["source"], target, bool(each.get("read_only")))
            for target, each in _items(fields, "mounts")
        ),
        volumes=tuple(_volumes(fields)),
        firewall=_firewall(shown.get("firewall")),
        boot=Boot(
            bool(shown.get("boot.at_boot")), shown.get("boot.order"), shown.get("boot.delay_s")
        ),
        unprivileged=bool(shown.get("unprivileged", True)),
        nesting=bool(shown.get("nesting")),
        apparmor_profile=shown.get("apparmor_profile"),
        raw=tuple(raw),
        options=tuple(options),
        gpus=tuple(shown.get("gpus") or ()),
        protected=bool(shown.get("protected")),
        is_template=is_template,
        pci=tuple(_device(each) for each in shown.get("pci") or ()),
        agent=bool(shown.get("agent", True)),
        cpu=shown.get("cpu"),
        machine=shown.get("machine"),
        bios=shown.get("bios"),
    )


def volume_name(target: str, taken: Iterable[str] = ()) -> str:
    """A name for the volume at a place of the guest: `/srv/data` is `srv-data`."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", target).strip("-._") or "data"
    name, number = plain[:_LONGEST_NAME], 2
    known = set(taken)
    while name in known:
        name = f"{plain[: _LONGEST_NAME - 4]}-{number}"
        number += 1
    return name


def _items(fields: Mapping[str, Json], group: str) -> list[tuple[str, dict[str, Any]]]:
    return list(words.grouped(fields, group).items())


def _nics(fields: Mapping[str, Json]) -> Iterable[Nic]:
    for name, each in _items(fields, "network"):
        yield Nic(
            name=name,
            bridge=each.get("bridge") or "",
            address=each.get("address"),
            gateway=each.get("gateway"),
            nameservers=tuple(each.get("nameservers") or ()),
            mac=each.get("mac"),
        )


def _volumes(fields: Mapping[str, Json]) -> Iterable[Volume]:
    """By their place, where they have no name of their own: a target often knows none."""
    names: list[str] = []
    for name, each in _items(fields, "volumes"):
        target = each.get("target") or name
        names.append(volume_name(target, names) if name == target else name)
        yield Volume(names[-1], each.get("pool"), each.get("size_gb") or None, target)


def _firewall(told: Any) -> Firewall | None:
    if not told:
        return None
    rules = (
        FirewallRule(
            direction=each["direction"],
            action=each["action"],
            source=each.get("source"),
            dest=each.get("dest"),
            proto=each.get("proto"),
            ports=tuple(each.get("ports") or ()),
            comment=each.get("comment") or "",
        )
        for each in told["rules"]
    )
    return Firewall(True, tuple(rules), told["policy_in"], told["policy_out"])


def _device(text: str) -> PciDevice:
    return PciDevice(address=text) if ":" in text else PciDevice(mapping=text)
