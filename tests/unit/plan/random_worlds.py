"""Random folders and random worlds for properties: anything that the files may ask for, on a
simulated node in any state that an apply, a person or a broken run may have left behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from tests.unit.plan.worlds import FOLDER, NEW, NGINX, OLD, STACK, desired

from phoenix_hypervisor.drivers.fields import guest_fields
from phoenix_hypervisor.drivers.sim.store import KeptGuest, KeptResource, KeptSnapshot, World
from phoenix_hypervisor.model.address import Address, bridge, lxc, storage
from phoenix_hypervisor.model.desired import (
    Boot,
    CloneOf,
    Desired,
    Firewall,
    FirewallRule,
    Guest,
    Image,
    Mount,
    Nic,
    Script,
    Volume,
)

POOLS = ("tank", "fast")
BRIDGES = ("vmbr0", "vmbr1")
MACS = (None, "02:00:00:00:00:0A", "02:00:00:00:00:0B")


@dataclass(frozen=True)
class Situation:
    """A folder, a node, and what the inside of each guest is to be."""

    folder: Desired
    world: World
    prints: Mapping[Address, str | None]


def _nic(name: str) -> st.SearchStrategy[Nic]:
    return st.builds(
        Nic,
        name=st.just(name),
        bridge=st.sampled_from(BRIDGES),
        address=st.sampled_from([None, "dhcp", "10.0.0.7/24", "fd00::7/64"]),
        gateway=st.sampled_from([None, "10.0.0.1"]),
        nameservers=st.sampled_from([(), ("10.0.0.1",), ("10.0.0.1", "fd00::1")]),
        mac=st.sampled_from(MACS),
    )


NICS = st.tuples(_nic("eth0"), _nic("eth1")).flatmap(
    lambda both: st.sampled_from([(), both[:1], both])
)
VOLUMES = st.tuples(
    *(
        st.builds(
            Volume,
            name=st.just(name),
            pool=st.sampled_from([None, *POOLS]),
            size_gb=st.sampled_from([None, 1, 2]),
            target=st.sampled_from([f"/srv/{name}", f"/srv/{name}.old"]),
        )
        for name in ("data", "log")
    )
).flatmap(lambda both: st.sampled_from([(), both[:1], both]))
MOUNTS = st.lists(
    st.builds(
        Mount,
        source=st.sampled_from(["/mnt/a", "/mnt/b"]),
        target=st.sampled_from(["/srv/a", "/srv/b.d", "/srv/b.d/c"]),
        read_only=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda mount: mount.target,
).map(tuple)
RULES = st.builds(
    FirewallRule,
    direction=st.sampled_from(["in", "out"]),
    action=st.sampled_from(["ACCEPT", "DROP", "REJECT"]),
    source=st.sampled_from([None, "10.0.0.0/24", "fd00::/64"]),
    proto=st.sampled_from([None, "tcp", "udp"]),
    ports=st.sampled_from([(), ("80",), ("80", "8000-8010")]),
)
FIREWALLS = st.none() | st.builds(
    Firewall,
    enabled=st.booleans(),
    rules=st.lists(RULES, max_size=2).map(tuple),
    policy_in=st.sampled_from(["ACCEPT", "DROP"]),
)
BOOTS = st.builds(
    Boot,
    at_boot=st.booleans(),
    order=st.none() | st.integers(0, 10_000),
    delay_s=st.none() | st.integers(0, 60),
)
RAW = st.lists(
    st.sampled_from(
        [("lxc.tty.max", "2"), ("lxc.environment", "A=1"), ("lxc.environment", "B=2 3")]
    ),
    max_size=3,
    unique=True,
).map(tuple)


@st.composite
def guests(draw: st.DrawFn, /, number: int = 101) -> Guest:
    """A container of any shape, made from a template."""
    given: dict[str, Any] = {
        "address": lxc(number),
        "kind": "lxc",
        "id": number,
        "name": draw(st.sampled_from([f"g{number}", f"g{number}.example.org"])),
        "source": Image("debian-13-standard"),
        "memory_mb": draw(st.sampled_from([256, 512])),
        "cores": draw(st.sampled_from([1, 2])),
        "swap_mb": draw(st.sampled_from([None, 0, 128])),
        "pool": draw(st.sampled_from([None, *POOLS])),
        "disk_gb": draw(st.sampled_from([None, 4, 8])),
        "nics": draw(NICS),
        "mounts": draw(MOUNTS),
        "volumes": draw(VOLUMES),
        "firewall": draw(FIREWALLS),
        "boot": draw(BOOTS),
        "unprivileged": draw(st.booleans()),
        "nesting": draw(st.booleans()),
        "raw": draw(RAW),
        "snapshot_name": draw(st.sampled_from([None, None, "base"])),
        "features": draw(st.sampled_from([(), NGINX])),
        "script": draw(st.sampled_from([None, None, Script(FOLDER / "run.sh")])),
        "protected": draw(st.sampled_from([False, False, False, True])),
    }
    return Guest(**given)


@st.composite
def folders(draw: st.DrawFn) -> Desired:
    """Up to six guests that are cloned from and depend on each other, without a circle."""
    numbers = draw(st.permutations(range(101, 107)))[: draw(st.integers(0, 6))]
    made: list[Guest] = []
    for number in numbers:
        one = draw(guests(number))
        cloned = draw(st.booleans())
        if made and cloned:
            source = draw(st.sampled_from(made))
            one = replace(one, source=CloneOf(source.address, source.snapshot_name))
        others = [other.address for other in made]
        wanted = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
        made.append(replace(one, dependencies=tuple(wanted)))
    return desired(*draw(st.permutations(made)) if made else ())


@st.composite
def kept(draw: st.DrawFn, like: Guest) -> KeptGuest:
    """A guest as something may have left it: as applied, changed in some ways, or another one."""
    state = draw(st.sampled_from(["running", "stopped"]))
    if draw(st.booleans()):
        inside = NEW if like.features or like.script else None
        taken = {"base": KeptSnapshot(fields={}, fingerprint=inside)} if like.snapshot_name else {}
        fields = guest_fields(like)
        return KeptGuest(
            stack=STACK, state=state, fields=fields, fingerprint=inside, snapshots=taken
        )
    other = draw(guests(like.id))
    shown = draw(st.sampled_from([like, other, replace(other, pool=like.pool)]))
    fingerprints = st.sampled_from([None, OLD, NEW])
    snapshots = draw(st.dictionaries(st.sampled_from(["base", "by-hand"]), fingerprints))
    return KeptGuest(
        stack=draw(st.sampled_from([STACK, STACK, STACK, "other", None])),
        state=state,
        complete=draw(st.sampled_from([True, True, True, False])),
        fields=guest_fields(shown),
        fingerprint=draw(fingerprints),
        snapshots={n: KeptSnapshot(fields={}, fingerprint=f) for n, f in snapshots.items()},
    )


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A folder beside a node that fits it in part."""
    folder = draw(folders())
    owners = st.sampled_from([STACK, STACK, "other", None])
    known = [*map(storage, POOLS), *map(bridge, BRIDGES), storage("old"), bridge("old")]
    there = draw(st.lists(st.sampled_from(known), unique=True))
    world = World(resources={address: KeptResource(stack=draw(owners)) for address in there})
    for one in folder.guests.values():
        if draw(st.booleans()):
            world.guests[one.address] = draw(kept(one))
    for number in draw(st.lists(st.sampled_from([201, 202]), unique=True)):
        one = draw(guests(number))
        on_old = {"pool": "old", "network.eth0.bridge": "old"} if draw(st.booleans()) else {}
        left = draw(kept(one))
        left.fields |= on_old
        world.guests[one.address] = left
    wanted = {a: NEW if g.features or g.script else None for a, g in folder.guests.items()}
    return Situation(folder, world, wanted)
