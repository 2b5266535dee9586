"""How a plan grows with the number of guests, on the simulated node: the whole command."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.clock import Row, once, run, spent, times
from tests.e2e.stack import LXC, PHOENIX

from phoenix_hypervisor import features
from phoenix_hypervisor.app import session
from phoenix_hypervisor.configure import fingerprint
from phoenix_hypervisor.drivers.sim.store import KeptGuest, KeptResource, World
from phoenix_hypervisor.model.desired import Bridge, Pool

_SMALL, _LARGE = 500, 5000
_ROUNDS = 5
_CHAIN = 10
"""Every tenth guest starts a new chain of dependencies."""
_LIMIT_S = 2.0
_LINEAR = _LARGE / _SMALL * 1.2


def rows(folder: Path) -> Iterator[Row]:
    """A first plan and one with nothing to do. The best of several runs, by the clock; growth is
    measured in processor time.
    """
    folder.mkdir()
    places = {size: _place(folder, size) for size in (_SMALL, _LARGE)}
    for what, state in (("all to be made", "none"), ("nothing to do", "state")):
        works = {str(n): _plan(place, state) for n, place in places.items()}
        walls: dict[str, list[float]] = {}
        computed: dict[str, list[float]] = {}
        for name, work in works.items():
            work()
            walls[name], computed[name] = [], []
        for _ in range(_ROUNDS):
            for name, work in works.items():
                begin, clock = spent(), time.perf_counter()
                work()
                walls[name].append(time.perf_counter() - clock)
                computed[name].append(spent() - begin)
        small, large = (min(walls[str(n)]) for n in (_SMALL, _LARGE))
        cpu = [min(computed[str(n)]) for n in (_SMALL, _LARGE)]
        yield Row(f"`phoenix plan`, {_SMALL} guests, {what}", small)
        yield Row(
            f"`phoenix plan`, {_LARGE} guests, {what}",
            large,
            f"{large:.2f} s ({cpu[1]:.2f} s of the processor)",
            large,
            goal=_LIMIT_S,
        )
        growth = cpu[1] / cpu[0]
        yield Row("its growth", cpu[1], f"{times(growth)} {_SMALL} guests", growth, goal=_LINEAR)
    argv = [str(PHOENIX), "--dir", str(places[_LARGE]), "--on", "sim", "validate"]
    yield Row(f"`phoenix validate`, {_LARGE} guests", min(once(lambda: run(argv)) for _ in "123"))


def _plan(place: Path, state: str) -> Callable[[], object]:
    environ = {"PHOENIX_SIM_STATE": str(place / f"{state}.json")}
    argv = [str(PHOENIX), "--dir", str(place), "--on", "sim", "plan"]
    return lambda: run(argv, environ)


def _place(folder: Path, size: int) -> Path:
    place = folder / str(size)
    place.mkdir()
    (place / LXC).write_text(json.dumps({"lxc_configs": _guests(size)}, indent=1))
    world = asyncio.run(_as_applied(place))
    (place / "state.json").write_text(world.model_dump_json())
    environ = {"PHOENIX_SIM_STATE": str(place / "state.json")}
    argv = [str(PHOENIX), "--dir", str(place), "--on", "sim", "plan", "--detailed-exitcode"]
    run(argv, environ)  # fails unless there is really nothing to do
    return place


async def _as_applied(place: Path) -> World:
    """The node as an apply leaves it: writing it down guest by guest would take too long."""
    async with session(place, "sim", {}) as opened:
        desired, driver = opened.desired, opened.driver
        world = World()
        for address, guest in desired.guests.items():
            parts = fingerprint.fingerprints(
                guest, desired, features.available(), place, opened.secrets.digest
            )
            world.guests[address] = KeptGuest(
                stack=desired.stack,
                state="running",
                fields=dict(driver.project(guest)),
                fingerprint=fingerprint.overall(parts) if parts else None,
            )
        things: list[Pool | Bridge] = [*desired.pools.values(), *desired.bridges.values()]
        for thing in things:
            fields = dict(driver.project(thing))
            world.resources[thing.address] = KeptResource(stack=desired.stack, fields=fields)
        return world


def _guests(size: int) -> dict[str, object]:
    return {
        str(1000 + n): {
            "name": f"guest{n}",
            "template": "debian-13-standard",
            "cores": 1,
            "memory_mb": 256,
            "storage_pool": "pool",
            "storage_size_gb": 2,
            "network_config": {
                "bridge": "br0",
                "ip": f"10.9.{n // 200}.{n % 200 + 10}/16",
                "gw": "10.9.0.1",
            },
            "features": ["base_setup"],
            "dependencies": [str(1000 + n - 1)] if n % _CHAIN else [],
        }
        for n in range(size)
    }
