"""Every field of the shared vocabulary, each changed once: the material of the update tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tests.conformance.kit import Kit

from phoenix_hypervisor.drivers.fields import GROUPS, split
from phoenix_hypervisor.model.change import FieldChange, Impact
from phoenix_hypervisor.model.desired import (
    Boot,
    Firewall,
    FirewallRule,
    Guest,
    Json,
    Mount,
    Nic,
    Volume,
)

LIVE, RESTART, DESTRUCTIVE = Impact.LIVE, Impact.RESTART, Impact.DESTRUCTIVE


def differences(wanted: Mapping[str, Json], seen: Mapping[str, Json]) -> list[FieldChange]:
    """What a plan would change: wanted fields that differ, and seen ones that were removed."""
    changed = [
        FieldChange(path, seen.get(path), value)
        for path, value in wanted.items()
        if seen.get(path) != value
    ]
    removed = [
        FieldChange(path, value, None)
        for path, value in seen.items()
        if split(path).group in GROUPS and path not in wanted
    ]
    return sorted(changed + removed, key=lambda change: change.path)


@dataclass(frozen=True)
class Variation:
    """One edit of the files: the fields that it must show as changed, and what it costs."""

    title: str
    paths: frozenset[str]
    impact: Impact
    edit: Callable[[Guest, Kit], Guest]


def _variation(
    title: str, paths: str, impact: Impact, edit: Callable[[Guest, Kit], Guest]
) -> Variation:
    return Variation(title, frozenset(paths.split()), impact, edit)


def _eth0(guest: Guest, **changes: object) -> Guest:
    first, *rest = guest.nics
    return replace(guest, nics=(replace(first, **changes), *rest))  # type: ignore[arg-type] # any field


def _extra(kit: Kit, *, read_only: bool) -> Mount:
    return Mount(kit.host_folder("extra"), "/srv/extra", read_only=read_only)


_WEB = Firewall(
    enabled=True,
    rules=(FirewallRule("in", "ACCEPT", proto="tcp", ports=("80",)), FirewallRule("in", "DROP")),
    policy_in="REJECT",
)

# In this order, each on top of the one before; the first guest is `Kit.guest`.
VARIATIONS = (
    _variation("memory", "memory_mb", LIVE, lambda g, k: replace(g, memory_mb=320)),
    _variation("cores", "cores", LIVE, lambda g, k: replace(g, cores=2)),
    _variation("swap", "swap_mb", LIVE, lambda g, k: replace(g, swap_mb=128)),
    _variation("larger disk", "disk_gb", LIVE, lambda g, k: replace(g, disk_gb=3)),
    _variation(
        "boot",
        "boot.at_boot boot.order boot.delay_s",
        LIVE,
        lambda g, k: replace(g, boot=Boot(at_boot=True, order=7, delay_s=2)),
    ),
    _variation("protected", "protected", LIVE, lambda g, k: replace(g, protected=True)),
    _variation("unprotected", "protected", LIVE, lambda g, k: replace(g, protected=False)),
    _variation("a firewall", "firewall", LIVE, lambda g, k: replace(g, firewall=_WEB)),
    _variation(
        "fewer rules",
        "firewall",
        LIVE,
        lambda g, k: replace(g, firewall=replace(_WEB, rules=_WEB.rules[:1])),
    ),
    _variation("no firewall", "firewall", LIVE, lambda g, k: replace(g, firewall=None)),
    _variation(
        "nameservers",
        "network.eth0.nameservers",
        LIVE,
        lambda g, k: _eth0(g, nameservers=("10.219.77.1", "10.219.77.2")),
    ),
    _variation(
        "no nameservers",
        "network.eth0.nameservers",
        LIVE,
        lambda g, k: _eth0(g, nameservers=()),
    ),
    _variation(
        "a mount",
        "mounts./srv/extra.source mounts./srv/extra.read_only",
        LIVE,
        lambda g, k: replace(g, mounts=(_extra(k, read_only=False),)),
    ),
    _variation(
        "a mount read-only",
        "mounts./srv/extra.read_only",
        RESTART,
        lambda g, k: replace(g, mounts=(_extra(k, read_only=True),)),
    ),
    _variation(
        "no mount",
        "mounts./srv/extra.source mounts./srv/extra.read_only",
        RESTART,
        lambda g, k: replace(g, mounts=()),
    ),
    _variation(
        "a volume",
        "volumes.data.pool volumes.data.size_gb volumes.data.target",
        LIVE,
        lambda g, k: replace(g, volumes=(Volume("data", k.pool, 1, "/var/lib/data"),)),
    ),
    _variation(
        "a larger volume",
        "volumes.data.size_gb",
        LIVE,
        lambda g, k: replace(g, volumes=(Volume("data", k.pool, 2, "/var/lib/data"),)),
    ),
    _variation(
        "a volume elsewhere",
        "volumes.data.target",
        RESTART,
        lambda g, k: replace(g, volumes=(Volume("data", k.pool, 2, "/var/lib/more"),)),
    ),
    _variation(
        "no volume",
        "volumes.data.pool volumes.data.size_gb volumes.data.target",
        DESTRUCTIVE,
        lambda g, k: replace(g, volumes=()),
    ),
    _variation("name", "name", RESTART, lambda g, k: replace(g, name="cf-renamed")),
    _variation("nesting", "nesting", RESTART, lambda g, k: replace(g, nesting=True)),
    _variation("address", "network.eth0.address", RESTART, lambda g, k: _eth0(g, address=k.ip(99))),
    _variation("no gateway", "network.eth0.gateway", RESTART, lambda g, k: _eth0(g, gateway=None)),
    _variation(
        "a MAC", "network.eth0.mac", RESTART, lambda g, k: _eth0(g, mac="02:00:0A:DB:4D:63")
    ),
    _variation("no MAC", "network.eth0.mac", RESTART, lambda g, k: _eth0(g, mac=None)),
    _variation(
        "a second card",
        "network.eth1.bridge network.eth1.address",
        RESTART,
        lambda g, k: replace(g, nics=(*g.nics, Nic("eth1", k.bridge, "dhcp"))),
    ),
    _variation(
        "no second card",
        "network.eth1.bridge network.eth1.address",
        RESTART,
        lambda g, k: replace(g, nics=g.nics[:1]),
    ),
    _variation("raw", "raw.{raw}", RESTART, lambda g, k: replace(g, raw=(k.raw,))),
    _variation("no raw", "raw.{raw}", RESTART, lambda g, k: replace(g, raw=())),
    _variation("gpus", "gpus", RESTART, lambda g, k: replace(g, gpus=(0,))),
    _variation(
        "apparmor",
        "apparmor_profile",
        RESTART,
        lambda g, k: replace(g, apparmor_profile="unconfined"),
    ),
    _variation("privileged", "unprivileged", RESTART, lambda g, k: replace(g, unprivileged=False)),
)


def cost(variation: Variation, kit: Kit) -> Impact:
    """What it costs on this target."""
    return kit.costs.get(variation.title, variation.impact)


def expected(variation: Variation, kit: Kit) -> set[str]:
    """The paths that must show as changed on this target."""
    return {path.replace("{raw}", kit.raw[0]) for path in variation.paths} - kit.left_out
