"""Ways into guests stay open between questions, but not too many of them, and not for ever."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.apply.nodes import Node, WithInside
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching import places
from phoenix_hypervisor.app.watching.places import Places
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Check
from phoenix_hypervisor.verify.checks.command import Command
from phoenix_hypervisor.verify.checks.llm import Llm
from phoenix_hypervisor.verify.place import GuestPlace

GUESTS = [plain(number) for number in (101, 102, 103)]
HERE = Command.model_validate({"command": "true"})


class Here(WithInside):
    """Its guests' insides are this machine."""

    async def way_in(self, address: Address) -> Sequence[str]:
        return ["sh"]


@pytest.fixture
async def found(tmp_path: Path) -> Places:
    wanted = desired(*GUESTS, folder=tmp_path)
    node = Node(wanted, driver_type=Here)
    await node.complete()
    return Places(Session(wanted, node.driver(), Secrets(tmp_path, {}), ()))


async def ask(found: Places, number: int) -> GuestPlace:
    async with found.at(GUESTS[number], HERE) as place:
        said = await place.inside("echo here", 10)
    assert said.out == "here\n"
    return place


async def test_a_way_in_is_kept_until_it_leads_elsewhere(found: Places) -> None:
    first = await ask(found, 0)
    assert first.is_inside
    assert await ask(found, 0) is first
    await found.drop(GUESTS[0].address)
    assert not first.is_inside
    assert await ask(found, 0) is not first
    await found.close()


async def test_one_in_use_ends_with_its_last_user(found: Places) -> None:
    async with found.at(GUESTS[0], HERE) as place:
        await place.inside("true", 10)
        await found.drop(GUESTS[0].address)
        assert place.is_inside
        async with found.at(GUESTS[0], HERE) as other:
            assert other is not place
    assert not place.is_inside
    await found.close()


async def test_of_too_many_the_one_that_was_not_used_for_longest_is_closed(
    found: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_OPEN", 2)
    first, second = await ask(found, 0), await ask(found, 1)
    assert await ask(found, 0) is first
    third = await ask(found, 2)
    assert [one.is_inside for one in (first, second, third)] == [True, False, True]
    await found.close()
    assert not first.is_inside


async def test_long_answers_of_models_leave_the_others_their_shells(tmp_path: Path) -> None:
    words = {"model": "m", "from": "inside"}
    long = [Llm.model_validate(words | {"port": port}) for port in (80, 81, 82)]
    guest = plain(101, checks=(*long, HERE))
    wanted = desired(guest, folder=tmp_path)
    node = Node(wanted, driver_type=Here)
    await node.complete()
    found = Places(Session(wanted, node.driver(), Secrets(tmp_path, {}), ()))

    async def asked(check: Check, script: str) -> None:
        async with found.at(guest, check) as place:
            await place.inside(script, 30)

    slow = [asyncio.create_task(asked(one, "sleep 20")) for one in long]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        await asked(HERE, "true")
    slow += [asyncio.create_task(asked(HERE, "sleep 20")) for _ in range(2)]
    await asyncio.sleep(0.1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), found.at(guest, HERE):  # its time begins with its shell
            raise AssertionError
    for task in slow:
        task.cancel()
    await asyncio.wait(slow)
    await found.close()
