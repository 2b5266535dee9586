"""What is asked, how often, and what a rehearsal asks of it."""

import asyncio

import pytest
from tests.unit.plan.worlds import desired, plain, template

from phoenix_hypervisor.app.watching.questions import ask, questions
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.check import Check, Slo
from phoenix_hypervisor.verify.checks.llm import Llm
from phoenix_hypervisor.verify.checks.tcp import Tcp
from phoenix_hypervisor.verify.place import GuestPlace


def tcp(**words: object) -> Check:
    return Tcp.model_validate({"port": 80, **words})


def test_each_check_has_its_interval_and_two_of_a_name_are_told_apart() -> None:
    llm = Llm.model_validate({"port": 8080})
    guest = plain(101, checks=(tcp(), tcp(every_s=30), llm), slo=Slo(latency_p95_ms=2000))
    found = questions(desired(guest), 2.0)
    assert [(one.name, one.every_s) for one in found.values()] == [
        ("tcp :80", 2.0),
        ("tcp :80 (2)", 30.0),
        ("llm :8080/v1", 60.0),
    ]
    assert {one.promised_ms for one in found.values()} == {2000}
    asked = list(found.values())[2].check
    assert isinstance(asked, Llm)
    assert (asked.concurrency, asked.samples, asked.warm_up) == ([1], 1, False)


def test_a_guest_that_is_to_rest_is_not_asked() -> None:
    resting = template(900, checks=(tcp(),))
    assert set(questions(desired(resting, plain(101, checks=(tcp(),))), 5.0)) == {
        (lxc(101), "tcp :80")
    }


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
async def test_what_is_on_this_machine_is_asked_though_the_guest_is_simulated(address: str) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), address, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert (await simulated(tcp(port=port, address=address))).ok
    finally:
        server.close()
        await server.wait_closed()
    assert not (await simulated(tcp(port=port, address=address))).ok


@pytest.mark.parametrize(
    "words", [{"address": "10.99.99.99"}, {"address": "example.invalid"}, {"from": "inside"}]
)
async def test_nothing_else_is_asked_of_a_simulated_guest(words: dict[str, str]) -> None:
    found = await simulated(tcp(**words))
    assert (found.ok, found.message) == (True, "simulated: the guest runs, and nothing was asked")


async def simulated(check: Check):
    guest = plain(101, checks=(check,))
    (question,) = questions(desired(guest), 5.0).values()
    async with GuestPlace(None, lxc(101), lambda name: "", ip="10.99.99.98") as place:  # type: ignore[arg-type]
        return await ask(question, place, real=False)
