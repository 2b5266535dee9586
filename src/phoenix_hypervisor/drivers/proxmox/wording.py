"""One guest that is there, in the words of the files; pure.

What the files can't say stays as it is on Proxmox VE, and is told. Where a later apply would take
away what they can't say, the guest has no words at all. Nothing that may hold a secret is taken
over: notes, environments, passwords.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phoenix_hypervisor.drivers import found
from phoenix_hypervisor.drivers.proxmox import (
    container,
    kinds,
    machine,
    machine_network,
    templates,
)
from phoenix_hypervisor.drivers.proxmox.property import flag, indexed, parse
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.observed import Fields

_OPTIONS = (
    "cmode", "console", "cpulimit", "cpuunits", "debug", "entrypoint", "hookscript",
    "searchdomain", "timezone", "tty",
)  # fmt: skip
_SECRETIVE = "lxc.environment"
_NVIDIA = "/dev/nvidia"
_LXC_SAID = {
    "arch", "cores", "description", "digest", "env", "features", "hostname", "lock", "lxc",
    "memory", "nameserver", "onboot", "ostype", "parent", "protection", "rootfs", "startup",
    "swap", "tags", "template", "unprivileged", *_OPTIONS,
}  # fmt: skip
_VM_SAID = {
    "agent", "bios", "boot", "bootdisk", "cores", "cpu", "description", "digest", "lock",
    "machine", "memory", "meta", "name", "nameserver", "numa", "onboot", "ostype", "parent",
    "protection", "scsihw", "serial0", "smbios1", "sockets", "startup", "tags", "template", "vga",
    "vmgenid",
}  # fmt: skip
_MOUNT_SAID = {"volume", "mp", "size", "backup"}
_RULE_UNSAYABLE = ("macro", "sport", "iface", "icmp-type")
_DEVICE = re.compile(r"/dev/(?:nvidia\d+|dri/\w+)")


@dataclass(frozen=True, slots=True)
class Worded:
    """`guest` is None where the files have no words for it; `unsaid` tells why, or what is left."""

    guest: Guest | None
    unsaid: tuple[str, ...] = ()


def of(
    state: State,
    fields: Fields,
    name: str,
    *,
    rules: Sequence[Mapping[str, Any]] = (),
    at_hand: Iterable[str] = (),
    node_cores: int | None = None,
) -> Worded:
    """The words of one guest.

    `fields` are those that it shows; `name` the one that lists show; `rules` those of its filter,
    where it is on; `at_hand` the volumes of templates there are; `node_cores` of its node.
    """
    is_lxc = kinds.is_container(state)
    hindered = [*_hindered_rules(rules)]
    hindered += _hindered_lxc(state) if is_lxc else _hindered_vm(state)
    if hindered:
        return Worded(None, tuple(hindered))
    unsaid: list[str] = []
    shown: dict[str, Any] = dict(fields)
    if not shown.get("name"):
        shown["name"] = name
        unsaid.append(f"it has no name: the next apply calls it {name}")
    if not shown.get("cores"):
        shown["cores"] = node_cores or 1
        unsaid.append(f"its cores have no limit: the next apply sets {shown['cores']}")
    source = _source(state, at_hand)
    if state.pending:
        waits = ", ".join(state.pending)
        unsaid.append(f"{waits} wait for a restart, which the next apply makes")
    if not is_lxc:
        if mac := next(iter(machine_network.macs(state.config)), None):
            shown["network.eth0.mac"] = mac
        unsaid += _left_vm(state)
        guest = found.guest(state.address, shown, source, is_template=state.is_template)
        return Worded(guest, tuple(unsaid))
    raw, options = _raw(state, unsaid), _options(state)
    # Of several cards the files have words for the first; the others stand as they are.
    first, *others = [*indexed(state.config, "net").values()] or [""]
    for value in others:
        more = f"network.{parse(value).get('name', '')}."
        shown = {path: each for path, each in shown.items() if not path.startswith(more)}
    mac = parse(first).get("hwaddr")
    if mac is not None:
        shown[f"network.{parse(first).get('name', '')}.mac"] = mac
    unsaid += _left_lxc(state)
    guest = found.guest(state.address, shown, source, raw=raw, options=options)
    return Worded(guest, tuple(unsaid))


def cards(state: State) -> tuple[str, ...]:
    """The cards of the host that it uses: PCI addresses, names of mappings, device files."""
    given: list[str] = []
    for value in indexed(state.config, "hostpci").values():
        parts = parse(value, "host")
        given += (
            parts["mapping"].split() if "mapping" in parts else parts.get("host", "").split(";")
        )
    devices = [
        parse(value, "path").get("path", "") for value in indexed(state.config, "dev").values()
    ]
    lines = [value for _, value in container.raw_pairs(state.config)]
    given += [each for text in (*devices, *lines) for each in _DEVICE.findall(text)]
    return tuple(dict.fromkeys(each for each in given if each))


def _source(state: State, at_hand: Iterable[str]) -> str:
    if not kinds.is_container(state):
        return "unknown"
    system = str(state.config.get("ostype") or "unknown")
    volume = templates.best([each for each in at_hand if ":vztmpl/" in each], system)
    return templates.file_name(volume) if volume else system


def _hindered_lxc(state: State) -> Iterable[str]:
    if state.is_template:
        yield "it is a template of Proxmox VE's own: the files know templates by their snapshot"
    first = parse(next(iter(indexed(state.config, "net").values()), ""))
    if first and not first.get("bridge"):
        yield "its first card is plugged into no bridge"
    if first.get("ip", "manual") == "manual" and first.get("ip6") in ("auto", "dhcp"):
        yield f"its first card has an IPv6 address alone, by {first['ip6']}"


def _hindered_vm(state: State) -> Iterable[str]:
    config = state.config
    if len(indexed(config, "net")) > 1:
        yield f"it has {len(indexed(config, 'net'))} network cards: the files have words for one"
    places = [parse(value) for value in indexed(config, "ipconfig").values()]
    if any("ip" in each and "ip6" in each for each in places):
        yield "its card has an IPv4 and an IPv6 address: the files have words for one"
    if machine.root_disk(config) is None:
        yield "it has no disk to boot from"
    if flag(config.get("numa")) and len(indexed(config, "numa")) > 0:
        yield "it has a layout of NUMA nodes"


def _hindered_rules(rules: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for rule in rules:
        unsayable = [word for word in _RULE_UNSAYABLE if rule.get(word)]
        if rule.get("type") == "group":
            unsayable.append(f"the group {rule.get('action')}")
        if unsayable:
            told = ", ".join(unsayable)
            yield f"rule {rule.get('pos')} of its firewall has what the files can't say: {told}"


def _raw(state: State, unsaid: list[str]) -> list[tuple[str, str]]:
    pairs = container.raw_pairs(state.config)
    if any(key == _SECRETIVE for key, _ in pairs):
        unsaid.append("its raw lines stay as they are: an lxc.environment may hold a secret")
        return []
    return [pair for pair in pairs if pair[0] != "lxc.apparmor.profile"]


def _options(state: State) -> list[tuple[str, str]]:
    config = state.config
    told = [(key, str(config[key])) for key in _OPTIONS if key in config]
    told += [*indexed(config, "net").items()][1:]
    told += [
        (key, value)
        for key, value in indexed(config, "dev").items()
        if not parse(value, "path").get("path", "").startswith(_NVIDIA)
    ]
    features = parse(str(config.get("features", "")))
    features.pop("nesting", None)
    if features:
        told.append(("features", ",".join(f"{k}={v}" for k, v in sorted(features.items()))))
    return told


def _left_lxc(state: State) -> Iterable[str]:
    config = state.config
    if config.get("env"):
        yield "its environment (env) stays as it is: it may hold a secret"
    for key, value in indexed(config, "net").items():
        parts = parse(value)
        if "ip" in parts and "ip6" in parts and key == "net0":
            yield f"its IPv6 address {parts['ip6']} stays as it is"
    for key, value in indexed(config, "mp").items():
        more = sorted(set(parse(value, "volume")) - _MOUNT_SAID - {"ro"})
        if more:
            yield f"{key} keeps {', '.join(more)}"
    yield from _left(config, _LXC_SAID, ("net", "mp", "dev", "unused"))


def _left_vm(state: State) -> Iterable[str]:
    config = state.config
    said = {*_VM_SAID, machine.root_disk(config) or ""}
    yield from _left(config, said, ("net", "ipconfig", "hostpci", "unused", "efidisk", "tpmstate"))


def _left(config: Mapping[str, object], said: set[str], numbered: Sequence[str]) -> Iterable[str]:
    left = [key for key in config if key not in said and key.rstrip("0123456789") not in numbered]
    if left:
        yield f"left as they are: {', '.join(sorted(left))}"
    if text := _notes(config):
        yield text


def _notes(config: Mapping[str, object]) -> str:
    """That it has notes for people, which are not taken over."""
    return "its notes stay on Proxmox VE" if str(config.get("description") or "").strip() else ""
