"""Small worlds for tests of plan and apply: guests as wanted, and guests as seen.

Two real drivers answer what is pure: Incus's (its guests have an inside, so plans hold checks),
never connected, and the simulated node's.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from phoenix_hypervisor.drivers.incus import connect as connect_incus
from phoenix_hypervisor.model.address import Address, bridge, lxc, storage
from phoenix_hypervisor.model.change import Change
from phoenix_hypervisor.model.desired import (
    Boot,
    Bridge,
    CloneOf,
    Desired,
    FeatureUse,
    Guest,
    Image,
    Nic,
    Pool,
    Target,
)
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.feature import FeatureOptions
from phoenix_hypervisor.model.observed import Observed, SeenGuest, SeenResource, Snapshot
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.make import make
from phoenix_hypervisor.plan.options import Options
from phoenix_hypervisor.verify.checks import available

STACK = "lab"
FOLDER = Path("/nowhere")
INCUS: Driver = connect_incus(Target(), STACK, folder=FOLDER, environ={})

NGINX = (FeatureUse("nginx", FeatureOptions()),)
TCP = (available()["tcp"].model_validate({"port": 80}),)
NEW = "inside-as-wanted"
OLD = "inside-as-it-was"


def guest(number: int = 101, **words: Any) -> Guest:
    """A small container with one feature and one check; `words` replace its fields."""
    given: dict[str, Any] = {
        "address": lxc(number),
        "kind": "lxc",
        "id": number,
        "name": f"g{number}",
        "source": Image("debian-13-standard"),
        "memory_mb": 512,
        "cores": 1,
        "pool": "tank",
        "disk_gb": 8,
        "nics": (Nic("eth0", "vmbr0", f"10.0.0.{number % 200}/24", "10.0.0.1"),),
        "features": NGINX,
        "checks": TCP,
    }
    return Guest(**(given | words))


def plain(number: int = 101, **words: Any) -> Guest:
    """A container with nothing to configure or check."""
    return guest(number, **({"features": (), "checks": ()} | words))


def template(number: int = 900, **words: Any) -> Guest:
    """A container that clones are made from; it rests once it is complete."""
    return guest(number, **({"snapshot_name": "base", "checks": ()} | words))


def clone(number: int, source: Guest, **words: Any) -> Guest:
    """A clone of another guest, from its snapshot where it has one."""
    return guest(number, source=CloneOf(source.address, source.snapshot_name), **words)


def desired(*guests: Guest, **words: Any) -> Desired:
    """A folder of these guests, with the pools and bridges that they use."""
    pools = [g.pool for g in guests] + [v.pool for g in guests for v in g.volumes]
    bridges = [nic.bridge for g in guests for nic in g.nics]
    given: dict[str, Any] = {
        "folder": FOLDER,
        "stack": STACK,
        "guests": {g.address: g for g in guests},
        "pools": {storage(p): Pool(storage(p), p) for p in pools if p},
        "bridges": {bridge(b): Bridge(bridge(b), b, "10.0.0.1/24") for b in bridges},
    }
    return Desired(**(given | words))


def prints(wanted: Desired) -> dict[Address, str | None]:
    """What each guest's inside is to be."""
    return {a: NEW if g.features or g.script else None for a, g in wanted.guests.items()}


def seen(wanted: Guest, driver: Driver = INCUS, **words: Any) -> SeenGuest:
    """The guest as it shows once everything is applied; `words` replace what is seen."""
    fingerprint = NEW if wanted.features or wanted.script else None
    name = wanted.snapshot_name
    given: dict[str, Any] = {
        "address": wanted.address,
        "name": wanted.name,
        "state": "running" if wanted.runs else "stopped",
        "stack": STACK,
        "fields": driver.project(wanted),
        "fingerprint": fingerprint,
        "snapshots": (Snapshot(name, words.get("fingerprint", fingerprint)),) if name else (),
        "protected": wanted.protected,
    }
    return SeenGuest(**(given | words))


def observed(
    wanted: Desired, *guests: SeenGuest, resources: Mapping[Address, str | None] | None = None
) -> Observed:
    """These guests, on the pools and bridges of the folder (or on `resources`: owners by name)."""
    if resources is None:
        resources = dict.fromkeys([*wanted.pools, *wanted.bridges], STACK)
    return Observed(
        guests={one.address: one for one in guests},
        resources={a: SeenResource(a, stack) for a, stack in resources.items()},
    )


def complete(wanted: Desired) -> Observed:
    """The world as the files say."""
    return observed(wanted, *(seen(one) for one in wanted.guests.values()))


def planned(wanted: Desired, world: Observed, driver: Driver = INCUS, **options: Any) -> Plan:
    """The plan."""
    given = {"fingerprints": prints(wanted), **options}
    return make(wanted, world, driver, Options(**given))


def change(plan: Plan, address: str) -> Change:
    """The plan's one change of an address."""
    (found,) = (one for one in plan.changes if one.address == address)
    return found


def names(found: Change) -> str:
    """The steps of a change as one line."""
    return " ".join(step.name for step in found.steps)


def at_boot(wanted: Guest) -> Guest:
    """The guest, started with the host."""
    return replace(wanted, boot=Boot(at_boot=True))
