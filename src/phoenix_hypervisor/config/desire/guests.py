"""One guest's words as the guest that is wanted."""

from collections.abc import Mapping

from phoenix_hypervisor.config import lookup, pct
from phoenix_hypervisor.config.desire import machines
from phoenix_hypervisor.config.desire.healing import heal
from phoenix_hypervisor.config.desire.replicas import replicas
from phoenix_hypervisor.config.desire.serving import checks, routes, slo
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.networks import bridge_of
from phoenix_hypervisor.config.raw import read_line
from phoenix_hypervisor.config.replicas import named
from phoenix_hypervisor.config.sizes import Sizes
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.network import NetworkConfig
from phoenix_hypervisor.config.words.shared import Firewall as FirewallWords
from phoenix_hypervisor.config.words.shared import HighAvailability as HaWords
from phoenix_hypervisor.config.words.vm import Machine
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.availability import HighAvailability
from phoenix_hypervisor.model.desired import (
    Boot,
    CloneOf,
    Firewall,
    FirewallRule,
    Guest,
    IdMap,
    Image,
    Mount,
    Nic,
    Script,
    Volume,
)

_NESTING_KEYS = ("lxc.apparmor.allow_nesting",)


def guests(folder: Folder) -> Mapping[Address, Guest]:
    """All guests, in the order of the files, replicas beside their first one."""
    sizes = Sizes(folder)
    return {
        guest.address: guest
        for entry in folder.guests
        for guest in replicas(entry, _guest(folder, entry, sizes))
    }


def _guest(folder: Folder, entry: AnyEntry, sizes: Sizes) -> Guest:
    words = entry.words
    size = sizes.of(entry)
    container = words if isinstance(words, Container) else None
    machine = words if isinstance(words, Machine) else None
    return Guest(
        address=entry.address,
        kind=entry.kind,
        id=entry.id,
        name=words.name or "",
        source=_source(folder, entry),
        memory_mb=size.memory_mb,
        cores=size.cores,
        swap_mb=container.swap_mb if container else None,
        pool=size.pool,
        disk_gb=size.disk_gb,
        nics=_nics(folder, entry),
        mounts=_mounts(folder, entry),
        volumes=tuple(
            Volume(volume.name, volume.pool or size.pool, volume.size_gb, volume.mount_point)
            for volume in sizes.volumes(entry)
        ),
        firewall=None if words.firewall is None else _firewall(words.firewall),
        boot=Boot(words.start_at_boot, words.boot_order, words.boot_delay),
        unprivileged=container.unprivileged if container else True,
        nesting=_nesting(folder, container) if container else False,
        apparmor_profile=container.apparmor_profile if container else None,
        raw=_raw(container) if container else (),
        gpus=tuple(container.gpu_assignment) if container else (),
        snapshot_name=words.template_snapshot_name,
        is_template=machine.is_template if machine else False,
        node=words.node,
        dependencies=_dependencies(folder, entry),
        features=entry.features,
        script=_script(folder, container) if container else None,
        routes=routes(folder, entry),
        ports=tuple(container.ports) if container else (),
        checks=checks(folder, entry),
        slo=slo(folder, entry),
        heal=heal(words),
        protected=words.protected,
        description=words.description or "",
        ha=None if words.ha is None else _ha(words.ha),
        options=pct.options(container.pct_options) if container else (),
        id_maps=_id_maps(container) if container else (),
        pci=machines.devices(folder, machine) if machine else (),
        shares=machines.shares(machine) if machine else (),
        user=machines.user(machine) if machine else None,
        packages=machines.packages(machine) if machine else (),
        user_data=machines.user_data(folder, machine) if machine else None,
        agent=machine.agent if machine else True,
        cpu=machine.cpu if machine else None,
        machine=machine.machine if machine else None,
        bios=machine.bios if machine else None,
    )


def _source(folder: Folder, entry: AnyEntry) -> Image | CloneOf:
    if entry.clone_of is not None:
        source = folder.guest(entry.clone_of)
        where = address.lxc if entry.kind == "lxc" else address.vm
        snapshot = source.words.template_snapshot_name if source else None
        return CloneOf(where(entry.clone_of), snapshot)
    words = entry.words
    if isinstance(words, Machine):
        template = words.template_image or words.template or folder.vm.vm_defaults.template
    else:
        template = words.template
    return Image(template or "", words.template_checksum)


def _nics(folder: Folder, entry: AnyEntry) -> tuple[Nic, ...]:
    words = entry.words.network_config
    if words is None and isinstance(entry.words, Machine) and entry.words.network_bridge:
        words = NetworkConfig(ip="dhcp")  # a bridge of its own, and nothing more, is a card too
    if words is None:
        return ()
    return (
        Nic(
            name=words.name,
            bridge=bridge_of(folder, entry),
            address=words.ip,
            gateway=words.gw,
            nameservers=tuple(dict.fromkeys([*words.nameservers, *words.nameserver])),
            mac=entry.words.mac_address,
        ),
    )


def _mounts(folder: Folder, entry: AnyEntry) -> tuple[Mount, ...]:
    """The guest's own mount points, then the shared volumes that name it."""
    words = entry.words
    if not isinstance(words, Container):
        return ()
    own = [
        Mount(m.host_path, m.container_path, m.read_only, m.owner_uid, m.owner_gid)
        for m in words.mount_points
    ]
    taken = {mount.target for mount in own}
    shared = [
        Mount(volume.host_path, volume.mounts[entry.id])
        for volume in (folder.host.shared_volumes.__pydantic_extra__ or {}).values()
        if entry.id in volume.mounts and volume.mounts[entry.id] not in taken
    ]
    return (*own, *shared)


def _id_maps(words: Container) -> tuple[IdMap, ...]:
    return tuple(IdMap(one.type, one.host_id, one.container_id, one.size) for one in words.id_maps)


def _ha(words: HaWords) -> HighAvailability:
    return HighAvailability(
        state=words.state,
        max_restart=words.max_restart,
        max_relocate=words.max_relocate,
        nodes=tuple(words.nodes),
        comment=words.comment,
    )


def _firewall(words: FirewallWords) -> Firewall:
    return Firewall(
        enabled=words.enabled,
        rules=tuple(
            FirewallRule(
                direction=rule.type,
                action=rule.action,
                source=rule.source,
                dest=rule.dest,
                proto=rule.proto,
                ports=tuple(rule.port or ()),
                comment=rule.comment,
            )
            for rule in words.rules
        ),
        policy_in=words.default_input_policy,
        policy_out=words.default_output_policy,
    )


def _raw(words: Container) -> tuple[tuple[str, str], ...]:
    lines = (read_line(line) for line in words.lxc_options)
    return tuple(pair for pair in lines if pair is not None)


def _nesting(folder: Folder, words: Container) -> bool:
    """Whether containers may run inside: Docker needs it, or one of the raw options asks for it."""
    if "docker" in words.features or pct.read_features(words.pct_options).get("nesting") == "1":
        return True
    if any(key in _NESTING_KEYS and value == "1" for key, value in _raw(words)):
        return True
    defaults = folder.host.proxmox_defaults.lxc
    asked = pct.read_features([f"features={defaults.features}"]) if defaults.features else {}
    return bool(defaults.nesting) or asked.get("nesting") == "1"


def _dependencies(folder: Folder, entry: AnyEntry) -> tuple[Address, ...]:
    """Who depends on a guest with replicas waits for all of them."""
    return named(folder, entry.words.dependencies)


def _script(folder: Folder, words: Container) -> Script | None:
    if words.application_script is None:
        return None
    path = lookup.find(folder.path, words.application_script, lookup.SCRIPTS)
    if path is None:
        return None
    return Script(
        path=path.resolve(),
        args=tuple(words.application_script_args),
        env=tuple(words.application_script_env.items()),
    )
