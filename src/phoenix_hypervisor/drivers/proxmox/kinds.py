"""Containers and virtual machines alike: each call goes to the one that knows its kind's words."""

from collections.abc import Mapping

from phoenix_hypervisor.drivers.proxmox import (
    container,
    firewall,
    ha,
    machine,
    machine_network,
    network,
)
from phoenix_hypervisor.drivers.proxmox.container import Config, Keys
from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.desired import Guest, Json


def is_container(state: State) -> bool:
    """Whether it is a container."""
    return addresses.kind(state.address) == "lxc"


def fields(state: State, guest: Guest | None) -> dict[str, Json]:
    """What the guest's configuration shows, in the words of `drivers.fields`."""
    notes = state.notes
    if is_container(state):
        shown = container.fields(state.config, guest, notes)
    else:
        shown = machine.fields(state.config, guest, notes)
    if "description" in notes.asked or (guest is not None and guest.description):
        shown["description"] = notes.text
    if "ha" in notes.asked or (guest is not None and guest.ha is not None):
        shown["ha"] = None  # the look at the HA manager fills it in
    return shown


def projected(guest: Guest, digests: Mapping[str, str]) -> dict[str, Json]:
    """What `fields` shows once all is as asked; `digests` are of cloud-init's documents."""
    is_lxc = guest.kind == "lxc"
    shown = container.projected(guest) if is_lxc else machine.projected(guest, digests)
    shown["firewall"] = firewall.normalised(guest.firewall)
    if guest.description:
        shown["description"] = guest.description
    if guest.ha is not None:
        shown["ha"] = ha.wanted(guest.ha)
    if guest.node is not None:
        shown["node"] = guest.node
    return shown


def wanted(guest: Guest, config: Config, notes: Notes) -> Keys:
    """PVE's keys for all that the guest asks for; None: the key is to go."""
    if guest.kind == "lxc":
        return container.wanted(guest, config, notes)
    return machine.wanted(guest, config)


def root_disk(state: State) -> str | None:
    """The key of the disk that it boots from."""
    return "rootfs" if is_container(state) else machine.root_disk(state.config)


def static_addresses(state: State) -> list[str]:
    """The fixed addresses, v4 first."""
    if is_container(state):
        return network.static_addresses(state.config)
    return machine_network.static_addresses(state.config)
