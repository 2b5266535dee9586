"""The Proxmox driver against its double: a plan of many guests, and many clones at once.

Own creations only, over loopback; nothing of it is real but the client's work.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from ssl import create_default_context
from statistics import median
from typing import Any

import aiohttp
from tests.bench.clock import Row, times
from tests.support import pve

from phoenix_hypervisor.apply.means import Means
from phoenix_hypervisor.apply.walk import Walk
from phoenix_hypervisor.drivers import open_driver
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest, Image, Nic, Target
from phoenix_hypervisor.model.driver import Driver, Tell
from phoenix_hypervisor.model.event import Event
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.plan import make as planning
from phoenix_hypervisor.plan.options import Options

_STORE, _BRIDGE, _TEMPLATE = "local-zfs", "vmbr0", "debian-13-standard_13.1-2_amd64.tar.zst"
_GUESTS, _AT_ONCE, _RUNS = 500, 6, 5
_CLONES, _SOURCES, _PARALLEL = 50, 2, 8
_TASK_S, _LOCK_S = 0.5, 1.0


@dataclass(frozen=True)
class Found:
    """What one measurement gave: seconds, seconds of what it is compared with, requests."""

    took: float
    other: float
    requests: int

    @property
    def ratio(self) -> float:
        """How much longer it took."""
        return self.took / self.other


def rows(folder: Path) -> Iterator[Row]:
    """Both measurements."""
    folder.mkdir()
    plan = asyncio.run(plan_of_many(folder))
    each = plan.requests / _GUESTS
    name = f"plan of {_GUESTS} guests on the Proxmox double, {each:.2f} requests a guest"
    bare = "a bare aiohttp program that reads the same"
    yield Row(name, plan.took, f"{times(plan.ratio)} {bare}", plan.ratio)
    made = asyncio.run(clones_at_once(folder))
    name = f"{_CLONES} clones of {_SOURCES} templates, --parallel {_PARALLEL}"
    path = "their tasks' own critical path"
    yield Row(name, made.took, f"{times(made.ratio)} {path}", made.ratio)


async def plan_of_many(folder: Path) -> Found:
    """Looks and plans where nothing is to be done, against the same reads by hand.

    Both take turns, so that what else the machine does falls on both.
    """
    with pve.started(time_scale=0) as double:
        await _prepare(double)
        desired = _desired(folder, [_guest(n, Image(_TEMPLATE)) for n in range(_GUESTS)])
        async with _driver(double, folder) as driver:
            await _apply(driver, desired, 32)
            await double.forget()
            plan = await _plan(driver, desired)
            assert plan.changes == (), "the plan is not empty"
            asked = (await double.asked()).requests
            paths = [_whole(one) for one in asked]
            ours, bare = [], []
            for _ in range(_RUNS):
                begin = time.perf_counter()
                await _plan(driver, desired)
                ours.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                await _read(double, paths)
                bare.append(time.perf_counter() - begin)
    return Found(median(ours), median(bare), len(paths))


async def clones_at_once(folder: Path) -> Found:
    """Applies clones of few sources: nobody meets a lock, and little is added to the tasks."""
    with pve.started(time_scale=1) as double:
        await _prepare(double)
        sources = [_guest(n, Image(_TEMPLATE), snapshot_name="ready") for n in range(_SOURCES)]
        async with _driver(double, folder) as driver:
            await _apply(driver, _desired(folder, sources), _PARALLEL)
            await double.set("ct_secs", {"clone": _TASK_S + _LOCK_S})
            clones = [
                _guest(10 + n, CloneOf(sources[n % _SOURCES].address, "ready"))
                for n in range(_CLONES)
            ]
            begin = time.perf_counter()
            told = await _apply(driver, _desired(folder, [*sources, *clones]), _PARALLEL)
            took = time.perf_counter() - begin
            assert told == [], f"somebody had to wait for a lock: {told[:3]}"
        requests = (await double.asked()).requests
    # The clones of one source come one after the other, whatever is done at once beside.
    path = _CLONES / _SOURCES * (_TASK_S + _LOCK_S)
    return Found(took, path, len(requests))


async def _prepare(double: pve.Pve) -> None:
    await double.storage(_STORE, "zfspool", "rootdir,images")
    await double.template(_TEMPLATE)
    await double.bridge(_BRIDGE)


def _driver(double: pve.Pve, folder: Path) -> Driver:
    target = Target(
        driver="proxmox",
        endpoint=double.url,
        username="root@pam",
        password=Secret(literal=pve.PASSWORD),
        ca_file=double.ca_file,
        requests=_AT_ONCE,
    )
    environ = {"PHOENIX_NODE_SHELL": "sh"}  # never used: the API does all of this
    return open_driver("proxmox", target, "bench", environ=environ, folder=folder)


def _guest(number: int, source: Image | CloneOf, **words: Any) -> Guest:
    ident = 1000 + number
    return Guest(
        address=addresses.lxc(ident),
        kind="lxc",
        id=ident,
        name=f"guest{number}",
        source=source,
        memory_mb=256,
        cores=1,
        pool=_STORE,
        disk_gb=2,
        nics=(Nic("eth0", _BRIDGE, f"10.9.{number // 200}.{number % 200 + 10}/16", "10.9.0.1"),),
        is_template=True,  # it rests, so that only its making is measured
        snapshot_name=words.get("snapshot_name"),
    )


def _desired(folder: Path, guests: Sequence[Guest]) -> Desired:
    return Desired(folder, "bench", guests={guest.address: guest for guest in guests})


async def _plan(driver: Driver, desired: Desired) -> Plan:
    return planning.make(desired, await driver.observe(desired), driver, Options())


async def _apply(driver: Driver, desired: Desired, parallel: int) -> list[str]:
    """Makes all guests; gives what was told of retries."""
    retries: list[str] = []

    def emit(event: Event) -> None:
        if event.event == "retry":
            retries.append(event.message)

    observed = await driver.observe(desired)
    plan = planning.make(desired, observed, driver, Options())
    means = Means(desired, observed, driver, _nothing, _no_check, parallel)
    report = await Walk(plan, means, emit).run()
    assert report.ok, report.failed[:2]
    return retries


async def _nothing(guest: Guest, tell: Tell) -> str | None:
    return None


async def _no_check(guest: Guest, tell: Tell) -> None:
    return None


def _whole(one: pve.Request) -> str:
    query = "&".join(f"{key}={value}" for key, value in one.query.items())
    return f"{one.path}?{query}" if query else one.path


async def _read(double: pve.Pve, paths: Sequence[str]) -> None:
    """The same endpoints with the same concurrency, and nothing else."""
    context = create_default_context(cafile=double.ca_file)
    turns = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=0)
    ) as session:
        body = {"username": "root@pam", "password": pve.PASSWORD}
        where = f"{double.url}/api2/json/access/ticket"
        async with session.post(where, data=body) as answer:
            ticket = (await answer.json())["data"]["ticket"]

        async def one(path: str) -> None:
            url = f"{double.url}/api2/json{path}"
            cookies = {"Cookie": f"PVEAuthCookie={ticket}"}
            async with turns, session.get(url, headers=cookies) as answer:
                await answer.json()

        await asyncio.gather(*(one(path) for path in paths))
