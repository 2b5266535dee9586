"""A replica is taken out of a proxy only where another one serves, by real shells and links."""

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from tests.unit.apply.nodes import Node, WithInside
from tests.unit.plan.worlds import OLD, desired, plain

from phoenix_hypervisor.app import draining, restarting, undo
from phoenix_hypervisor.app.draining import Draining
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.features import _nginx_peers as peers
from phoenix_hypervisor.features.nginx import NginxOptions
from phoenix_hypervisor.model.address import Address, ident, lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Nic, Route, Script
from phoenix_hypervisor.model.errors import CheckFailed, ConfigureFailed, Unreachable
from phoenix_hypervisor.plan.options import Options
from phoenix_hypervisor.verify.checks.command import Command

CHECK = Command.model_validate({"command": 'test -e "$SELF/serves"', "name": "it serves"})
PROXY = plain(100, name="proxy", features=(FeatureUse("nginx", NginxOptions()),))


def replica(number: int, **words: Any) -> Guest:
    """`web-1` at 10.0.0.51, …"""
    return plain(
        50 + number,
        name=f"web-{number}",
        replica=Replica(lxc(51), "web", number),
        **{"checks": (CHECK,), "routes": (Route(None, "/", 8000, timeout_s=1),), **words},
    )


ONE, TWO, THREE = (replica(number) for number in (1, 2, 3))


class World:
    """A simulated node whose guests are folders of this machine; only the proxy has links."""

    def __init__(self, folder: Path, wanted: Desired) -> None:
        self.folder, self.told = folder, list[str]()
        self.peers, self.current = folder / "peers", folder / "current"
        for one in (folder / "bin", self.peers, self.current):
            one.mkdir()
        self.tool("nginx", "exit 0")
        self.tool("systemctl", "exit 3")  # it is not active: nothing is reloaded
        self.closed: set[Address] = set()
        for guest in wanted.guests.values():
            self.home(guest).mkdir()
            if guest.replica is not None:
                self.serves(guest, answers=True)
                for state in ("up", "down"):
                    (self.current / f"{guest.ip}-8000.{state}").touch()
                (self.peers / f"{guest.ip}-8000.conf").symlink_to(
                    self.current / f"{guest.ip}-8000.up"
                )
        world = self

        class Here(WithInside):
            async def way_in(self, address: Address) -> Sequence[str]:
                if address in world.closed:
                    raise Unreachable(f"{address} has no shell")
                path = f"PATH={folder}/bin:/usr/bin:/bin"
                return ["env", path, f"SELF={folder}/{ident(address)}", "sh"]

        self.node = Node(wanted, driver_type=Here)
        self.session = Session(wanted, self.node.driver(), Secrets(folder, {}), ())

    async def ready(self) -> None:
        await self.node.walk(await self.node.plan(fingerprints={}))
        self.session.driver = self.node.driver()

    def tool(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def home(self, guest: Guest) -> Path:
        return self.folder / ident(guest.address)

    def serves(self, guest: Guest, *, answers: bool) -> None:
        path = self.home(guest) / "serves"
        if answers:
            path.touch()
        else:
            path.unlink()

    async def drains(self) -> Draining:
        session = self.session
        _, observed = await session.plan(Options())
        return Draining(session.desired, session.driver, session.secrets, "run", observed)

    async def drain(self, guest: Guest) -> None:
        await (await self.drains()).drain(guest, self.told.append)

    def out(self) -> set[str]:
        return {
            path.name.partition("-")[0]
            for path in self.peers.iterdir()
            if path.readlink().suffix == ".down"
        }


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return await made(tmp_path, monkeypatch, PROXY, ONE, TWO, THREE)


async def made(folder: Path, monkeypatch: pytest.MonkeyPatch, *guests: Guest) -> World:
    found = World(folder, desired(*guests, folder=folder))
    monkeypatch.setattr(peers, "PEERS", str(found.peers))
    monkeypatch.setattr(peers, "_CURRENT", str(found.current))
    await found.ready()
    return found


async def test_it_goes_out_and_comes_back(world: World) -> None:
    await world.drain(ONE)
    assert world.out() == {"10.0.0.51"}
    await (await world.drains()).undrain(ONE, world.told.append)
    assert world.out() == set()
    assert "taking it out of proxy, and waiting for requests under way" in world.told


async def test_the_only_one_that_serves_is_left_in(world: World) -> None:
    world.serves(TWO, answers=False)
    await world.drain(THREE)
    with pytest.raises(CheckFailed) as caught:
        await world.drain(ONE)
    assert world.out() == {"10.0.0.53"}
    error = caught.value
    assert error.message == (
        "web-1 is the only replica that serves, so it is left as it is: web-2: it serves: "
        "expected exit status 0, got 1; web-3: a proxy leads nobody to it"
    )
    assert error.hint == "`phoenix apply --target web-2` mends that one first"


async def outdated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[World, Guest, Guest]:
    """Two replicas that are to be configured anew."""
    script = Script(tmp_path / "own.sh")
    script.path.touch()
    first, second = (replica(number, script=script) for number in (1, 2))
    world = await made(tmp_path, monkeypatch, PROXY, first, second)
    for guest in (first, second):
        await world.session.driver.mark(guest.address, OLD)
    return world, first, second


async def test_what_is_left_as_it_is_keeps_its_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, first, second = await outdated(tmp_path, monkeypatch)
    world.serves(second, answers=False)
    plan, observed = await world.session.plan(Options(targets=frozenset({first.address})))
    (failure,) = (await world.session.apply(plan, observed, lambda _: None)).failed
    assert (failure.address, failure.step) == (first.address, "drain")
    assert (await world.node.guest(first.address)).fingerprint == OLD


async def test_the_only_one_that_serves_is_not_restarted(world: World) -> None:
    for guest in (TWO, THREE):
        world.serves(guest, answers=False)
    with pytest.raises(CheckFailed, match="web-1 is the only replica that serves"):
        await restarting.plan(world.session, "web-1")
    plan, _ = await restarting.plan(world.session, "web-2")
    assert [change.address for change in plan.changes] == [TWO.address]
    world.serves(ONE, answers=False)  # nothing is lost then
    await restarting.plan(world.session, "web-1")


async def test_one_that_a_failed_apply_left_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, first, second = await outdated(tmp_path, monkeypatch)
    monkeypatch.setattr(Session, "configurator", lambda *_: Refusing())
    plan, observed = await world.session.plan(Options())
    report = await world.session.apply(plan, observed, lambda _: None)
    assert world.out() == {first.ip}
    assert report.left_out == (
        "lxc/51 (web-1) is out of its proxies until an apply brings it back",
    )
    left_out = {one.name: one.left_out for one in await world.session.health()}
    assert left_out == {"proxy": False, "web-1": True, "web-2": False}
    plan, observed = await world.session.plan(Options(targets=frozenset({second.address})))
    await world.session.apply(plan, observed, lambda _: None)
    plan, observed = await world.session.plan(Options())
    report = await world.session.apply(plan, observed, lambda _: None)
    assert report.left_out == (
        "lxc/51 (web-1) is out of its proxies until an apply brings it back",
    )


class Refusing:
    """Configures nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def warm(self) -> None:
        pass

    async def configure(self, *_: object, **__: object) -> None:
        raise ConfigureFailed("refused")


async def test_where_none_serves_nothing_is_lost(world: World) -> None:
    """What is wrong in all of them, or new checks that the old version can't pass, are mended."""
    for guest in (ONE, TWO, THREE):
        world.serves(guest, answers=False)
    await world.drain(ONE)
    assert world.out() == {"10.0.0.51"}
    assert any(said.startswith("it does not serve, nor does another one") for said in world.told)


async def test_one_that_is_out_is_asked_nothing(world: World) -> None:
    await world.drain(ONE)
    for guest in (TWO, THREE):
        world.serves(guest, answers=False)
    await world.drain(ONE)
    assert world.out() == {"10.0.0.51"}


async def test_without_checks_one_that_runs_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (replica(number, checks=()) for number in (1, 2))
    world = await made(tmp_path, monkeypatch, PROXY, first, second)
    await world.session.driver.stop(second.address, world.told.append)
    with pytest.raises(CheckFailed, match=r"web-2: it does not run$"):
        await world.drain(first)
    await world.session.driver.start(second, world.told.append)
    await world.drain(first)


async def test_a_proxy_that_rests_leads_nobody(world: World) -> None:
    world.closed.add(PROXY.address)
    with pytest.raises(Unreachable):
        await world.drain(ONE)
    await world.session.driver.stop(PROXY.address, world.told.append)
    await world.drain(ONE)
    assert world.out() == set()


async def test_what_nginx_refuses_is_told(world: World) -> None:
    world.tool("nginx", "echo '[emerg] no' >&2; exit 1")
    with pytest.raises(ConfigureFailed) as caught:
        await world.drain(ONE)
    assert (caught.value.detail, world.out()) == ("[emerg] no", set())


async def test_it_waits_as_long_as_the_route_allows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tool("sleep", 'echo >> "$SELF/slept"')
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()):
            for state in ("up", "down"):
                (world.current / f"127.0.0.1-{port}.{state}").touch()
            (world.peers / f"127.0.0.1-{port}.conf").symlink_to(
                world.current / f"127.0.0.1-{port}.up"
            )
            local = replica(1, nics=(Nic("eth0", "b0", "127.0.0.1/8"),))
            found = await world.drains()
            await found.drain(local, world.told.append)
            slept = world.home(PROXY) / "slept"
            assert slept.exists()
            assert "1 connections are still open after 1 s: they will break" in world.told
            slept.unlink()
            monkeypatch.setattr(draining, "MOST_WAIT_S", 0)
            await found.drain(local, world.told.append)
            assert not slept.exists()


async def test_a_rollback_brings_it_back_and_leaves_the_mark_of_then(world: World) -> None:
    driver, session = world.session.driver, world.session
    await driver.mark(ONE.address, OLD)
    await driver.snapshot(ONE.address, "before", world.told.append)
    await driver.mark(ONE.address, None)
    await world.drain(ONE)  # as a run that failed leaves it
    plan, observed = await undo.plan_rollback(session, "web-1", "before", protected=False)
    assert (await session.apply(plan, observed, lambda _: None)).ok
    assert world.out() == set()
    assert (await world.node.guest(ONE.address)).fingerprint == OLD
    await world.drain(ONE)
    world.closed.add(PROXY.address)  # it can't be told: the next apply has to know
    plan, observed = await undo.plan_rollback(session, "web-1", "before", protected=False)
    (failure,) = (await session.apply(plan, observed, lambda _: None)).failed
    assert failure.step == "undrain"
    assert (await world.node.guest(ONE.address)).fingerprint is None


async def test_another_stack_s_proxy_is_left_alone(world: World) -> None:
    found = await world.drains()
    theirs = replace(found.observed.guests[PROXY.address], stack="others")
    guests = {**found.observed.guests, PROXY.address: theirs}
    found = replace(found, observed=replace(found.observed, guests=guests))
    await found.drain(ONE, world.told.append)
    assert (world.out(), world.told) == (set(), [])
