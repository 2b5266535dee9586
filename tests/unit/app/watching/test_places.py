"""Ways into guests stay open between questions, but not too many of them, and not for ever."""

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
from phoenix_hypervisor.verify.place import GuestPlace

GUESTS = [plain(number) for number in (101, 102, 103)]


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
    async with found.at(GUESTS[number]) as place:
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
    async with found.at(GUESTS[0]) as place:
        await place.inside("true", 10)
        await found.drop(GUESTS[0].address)
        assert place.is_inside
        async with found.at(GUESTS[0]) as other:
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
