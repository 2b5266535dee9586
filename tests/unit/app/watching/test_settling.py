"""How long a guest may take to come up."""

from dataclasses import replace
from pathlib import Path

import pytest

from phoenix_hypervisor import app
from phoenix_hypervisor.app.watching.settling import patience_s
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Desired

ROOT = Path(__file__).parents[4]
API, WEB, LLM = lxc(102), lxc(103), lxc(104)


@pytest.fixture
async def quickstart() -> Desired:
    async with app.session(ROOT / "examples" / "quickstart", "sim", {}) as session:
        return session.desired


def test_a_model_server_has_its_time_and_the_proxy_before_it_none_of_it(
    quickstart: Desired,
) -> None:
    web, llm = quickstart.guests[WEB], quickstart.guests[LLM]
    assert any(one.kind == "llm" for one in web.checks)
    assert patience_s(llm, quickstart) == 300
    assert patience_s(web, quickstart) == web.heal.settle_s


def test_a_model_that_nobody_declared_may_be_in_the_guest_itself(quickstart: Desired) -> None:
    alone = replace(quickstart.guests[WEB], dependencies=(API,))
    assert patience_s(alone, quickstart) == 300


def test_other_slow_checks_count_always(quickstart: Desired) -> None:
    web = quickstart.guests[WEB]
    [first, *rest] = [one for one in web.checks if one.kind == "http"]
    slow = replace(web, checks=(first.model_copy(update={"deadline_s": 90.0}), *rest))
    assert patience_s(slow, quickstart) == 90
