"""Guests and the host in the words of the files: the way back from `config.desire`.

What comes out is read as the same guests again. Words that would only say what is true without
them are left out; comments stand in keys that begin with `_`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phoenix_hypervisor.config.folder import HYPERVISOR, LXC, VM
from phoenix_hypervisor.model.desired import (
    CloneOf,
    Firewall,
    Gpu,
    Guest,
    Nic,
    PciDevice,
    Target,
)
from phoenix_hypervisor.model.secret import Secret

SCHEMAS = "schemas"
"""The folder of the JSON Schemas, beside the files."""

Words = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be written. Guests have at most one card, and no shares and no features.

    `head` is a comment for people; `notes` are further comments of the host file (`_storages`),
    and `remarks` lines to an address, which become comments of its guest.
    """

    target: Target
    stack: str
    guests: Sequence[Guest] = ()
    gpus: Sequence[Gpu] = ()
    head: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)


def files(told: Told) -> dict[str, Words]:
    """The three files by their names."""
    containers = {str(one.id): _container(one) for one in told.guests if one.kind == "lxc"}
    machines = [_machine(one) for one in told.guests if one.kind == "vm"]
    for address, lines in told.remarks.items():
        kind, _, ident = address.partition("/")
        found = [containers[ident]] if kind == "lxc" and ident in containers else []
        found += [one for one in machines if kind == "vm" and str(one["vmid"]) == ident]
        for one in found if lines else ():
            one["_not_said"] = list(lines)
    cards = [_gpu(one) for one in told.gpus]
    host: Words = {"_": told.head, "hypervisor": _target(told.target, told.stack)}
    host |= {"gpus": cards} if cards else {}
    return {
        HYPERVISOR: _headed(HYPERVISOR, host | dict(told.notes)),
        LXC: _headed(LXC, {"lxc_configs": containers}),
        VM: _headed(VM, {"vms": machines}),
    }


def _headed(name: str, words: Words) -> Words:
    return {"$schema": f"./{SCHEMAS}/{name.removesuffix('.json')}.schema.json"} | words


def _target(target: Target, stack: str) -> Words:
    """Secrets by their names only: one that was written out is left out."""
    return _given(
        {
            "driver": target.driver,
            "endpoint": target.endpoint,
            "node": target.node,
            "token_id": target.token_id,
            "token_secret": _named(target.token_secret),
            "username": target.username,
            "password": _named(target.password),
            "verify_tls": None if target.verify_tls else False,
            "ca_file": target.ca_file,
            "fingerprint": target.fingerprint,
            "ssh": dict(target.ssh) or None,
            "stack": stack,
        }
    )


def _named(secret: Secret | None) -> Words | None:
    return {"secret": secret.name} if secret is not None and secret.name else None


def _gpu(gpu: Gpu) -> Words:
    return _given(
        {
            "index": gpu.index,
            "name": gpu.name or None,
            "memory_mb": gpu.memory_mb,
            "pci": gpu.pci,
            "mapping": gpu.mapping,
        }
    )


def _container(guest: Guest) -> Words:
    words = _common(guest) | {
        "template": None if isinstance(guest.source, CloneOf) else guest.source.template,
        "clone_from_ctid": _source_id(guest),
        "swap_mb": guest.swap_mb,
        "storage_size_gb": guest.disk_gb,
        "unprivileged": None if guest.unprivileged else False,
        "apparmor_profile": guest.apparmor_profile,
        "gpu_assignment": ",".join(map(str, guest.gpus)) or None,
        "mount_points": [
            _given(
                {
                    "host_path": mount.source,
                    "container_path": mount.target,
                    "read_only": mount.read_only or None,
                    "owner_uid": mount.owner_uid,
                    "owner_gid": mount.owner_gid,
                }
            )
            for mount in guest.mounts
        ],
        "volumes": [
            _given(
                {
                    "name": volume.name,
                    "pool": volume.pool,
                    "size_gb": volume.size_gb,
                    "mount_point": volume.target,
                }
            )
            for volume in guest.volumes
        ],
        "pct_options": _options(guest),
        "lxc_options": [f"{key}={value}" for key, value in guest.raw],
        "id_maps": [
            {
                "type": one.kind,
                "host_id": one.host_id,
                "container_id": one.container_id,
                "size": one.size,
            }
            for one in guest.id_maps
        ],
    }
    return _given(words)


def _options(guest: Guest) -> list[str]:
    """Proxmox VE's options; nesting is one of its features, and has no word of its own."""
    told = dict(guest.options)
    features = [each for each in told.pop("features", "").split(",") if each]
    if guest.nesting:
        features = ["nesting=1", *features]
    lines = [f"features: {','.join(features)}"] if features else []
    return lines + [f"{key}={value}" for key, value in told.items()]


def _machine(guest: Guest) -> Words:
    words: Words = {"vmid": guest.id} | _common(guest)
    words |= {
        "template_image": None if isinstance(guest.source, CloneOf) else guest.source.template,
        "clone_from_vmid": _source_id(guest),
        "is_template": guest.is_template or None,
        "disk_size_gb": guest.disk_gb,
        "pci": [_device(one) for one in guest.pci],
        "agent": None if guest.agent else False,
        "cpu": guest.cpu,
        "machine": guest.machine,
        "bios": guest.bios,
    }
    return _given(words)


def _device(device: PciDevice) -> Words:
    if device.mapping is not None:
        return {"mapping": device.mapping}
    return {"address": device.address}


def _common(guest: Guest) -> Words:
    return {
        "name": guest.name,
        "description": guest.description or None,
        "node": guest.node,
        "memory_mb": guest.memory_mb,
        "cores": guest.cores,
        "storage_pool": guest.pool,
        "network_config": _network(guest.nics[0]) if guest.nics else None,
        "mac_address": guest.nics[0].mac if guest.nics else None,
        "firewall": _firewall(guest.firewall) if guest.firewall is not None else None,
        "start_at_boot": guest.boot.at_boot or None,
        "boot_order": guest.boot.order,
        "boot_delay": guest.boot.delay_s,
        "protected": guest.protected or None,
    }


def _source_id(guest: Guest) -> int | None:
    source = guest.source
    return int(source.address.partition("/")[2]) if isinstance(source, CloneOf) else None


def _network(nic: Nic) -> Words:
    return _given(
        {
            "name": nic.name,
            "bridge": nic.bridge,
            "ip": nic.address,
            "gw": nic.gateway,
            "nameservers": list(nic.nameservers),
        }
    )


def _firewall(firewall: Firewall) -> Words:
    return _given(
        {
            "enabled": firewall.enabled,
            "default_input_policy": firewall.policy_in,
            "default_output_policy": firewall.policy_out,
            "rules": [
                _given(
                    {
                        "type": rule.direction,
                        "action": rule.action,
                        "source": rule.source,
                        "dest": rule.dest,
                        "proto": rule.proto,
                        "port": ",".join(rule.ports) or None,
                        "comment": rule.comment or None,
                    }
                )
                for rule in firewall.rules
            ],
        }
    )


def _given(words: Mapping[str, Any]) -> Words:
    return {key: value for key, value in words.items() if value is not None and value != []}
