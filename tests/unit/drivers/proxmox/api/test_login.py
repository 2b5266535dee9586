"""Tickets are renewed, once for all who wait; tokens are not; refusals say what to do."""

import asyncio

import pytest
from tests.support import pve

from phoenix_hypervisor.drivers.proxmox.api.login import Ticket, Token
from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.model.errors import Denied

HOUR = 3600.0


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Reveal:
    """Gives a password and counts how often."""

    def __init__(self, value: str = pve.PASSWORD) -> None:
        self.value = value
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        return self.value


async def logins(double: pve.Pve) -> int:
    return len((await double.asked()).of("POST", "/access/ticket"))


async def test_one_login_serves_many(double: pve.Pve) -> None:
    async with double.api() as api:
        await asyncio.gather(*(api.get("/version") for _ in range(10)))
    assert await logins(double) == 1


async def test_a_ticket_renews_itself_before_it_expires(double: pve.Pve) -> None:
    clock, reveal = Clock(), Reveal()
    async with double.api(Ticket("root@pam", reveal, clock=clock)) as api:
        clock.now += HOUR - 1
        await api.get("/version")
        assert await logins(double) == 1
        clock.now += 2
        # With another password the login can only have been renewed by the ticket.
        await double.set("password", "changed")
        try:
            await asyncio.gather(*(api.get("/version") for _ in range(10)))
        finally:
            await double.set("password", pve.PASSWORD)
    assert await logins(double) == 2
    assert reveal.times == 1


async def test_a_ticket_that_is_no_password_any_more(double: pve.Pve) -> None:
    clock, reveal = Clock(), Reveal()
    async with double.api(Ticket("root@pam", reveal, clock=clock)) as api:
        await double.call("revoke_tickets")
        clock.now += HOUR + 1
        await api.get("/version")
    assert [one.status for one in (await double.asked()).of("POST", "/access/ticket")] == [
        200,
        401,
        200,
    ]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_an_expired_ticket_is_renewed_once_for_all(double: pve.Pve, method: str) -> None:
    if await double.guest(2100) is None:
        await double.container(2100)
    where = path("nodes", "pve1", "lxc", 2100, "config")
    async with double.api() as api:
        await double.forget()
        await double.call("revoke_tickets")
        if method == "GET":
            await asyncio.gather(*(api.get(where) for _ in range(12)))
        else:
            await asyncio.gather(*(api.put(where, memory=256 + n) for n in range(12)))
    asked = await double.asked()
    assert len(asked.of("POST", "/access/ticket")) == 1
    assert len([one for one in asked.of(method, "/config") if one.status == 200]) == 12
    # As many as fit under way at once were refused, none of them twice.
    assert len([one for one in asked.of(method, "/config") if one.status == 401]) <= 6


async def test_a_wrong_password(double: pve.Pve) -> None:
    with pytest.raises(Denied, match="refused the login of root@pam") as caught:
        async with double.api(Ticket("root", Reveal("wrong-one"))):
            pass
    assert "wrong-one" not in f"{caught.value} {caught.value.hint} {caught.value.detail}"
    assert await logins(double) == 1


async def test_a_password_that_changes_meanwhile(double: pve.Pve) -> None:
    async with double.api() as api:
        await double.call("revoke_tickets")
        await double.set("password", "changed")
        try:
            with pytest.raises(Denied, match="refused the login"):
                await api.get("/version")
        finally:
            await double.set("password", pve.PASSWORD)


async def test_a_second_factor(double: pve.Pve) -> None:
    await double.set("tfa", True)
    try:
        with pytest.raises(Denied, match="second factor") as caught:
            async with double.api():
                pass
    finally:
        await double.set("tfa", False)
    assert "pveum user token add root@pam" in caught.value.hint


async def test_a_login_whose_answer_is_lost_is_tried_again(double: pve.Pve) -> None:
    await double.drop("POST", "/access/ticket", when="after")
    async with double.api(pause_s=0.01) as api:
        await api.get("/version")
    assert await logins(double) == 2


async def test_a_token_logs_in_with_every_request(double: pve.Pve) -> None:
    token = await double.token("VM.Audit", token_id="audit@pve!t")
    async with double.api(token) as api:
        await api.get("/version")
    assert await logins(double) == 0


async def test_a_token_that_is_refused(double: pve.Pve) -> None:
    with pytest.raises(Denied, match="refused the API token none@pve!t") as caught:
        async with double.api(Token("none@pve!t", lambda: "0-0-0")):
            pass
    assert "pveum user token list none@pve" in caught.value.hint
    assert len((await double.asked()).of("GET", "/version")) == 1


def test_a_tokens_id_has_a_name() -> None:
    with pytest.raises(Denied, match="not the id of an API token"):
        Token("root@pam", lambda: "x")


def test_the_values_are_fetched_late() -> None:
    reveal = Reveal()
    Ticket("root@pam", reveal)
    Token("root@pam!t", reveal)
    assert reveal.times == 0


def test_only_root_itself_passes_the_checks_for_it() -> None:
    assert Ticket("root", Reveal()).is_root
    assert not Ticket("root@pve", Reveal()).is_root
    assert not Token("root@pam!t", Reveal()).is_root
