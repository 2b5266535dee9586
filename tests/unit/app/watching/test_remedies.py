"""The hands of healing: what they take for somebody's, how long they wait, and what they hold."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.unit.app.watching.wards import A, Ward, ward
from tests.unit.plan.worlds import STACK, plain

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching import remedies
from phoenix_hypervisor.app.watching.remedies import Remedies, suspects
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.features._llamacpp_options import LlamacppOptions
from phoenix_hypervisor.features._monitoring_options import MonitoringOptions
from phoenix_hypervisor.features._nginx_conf import HEALTH_PATH
from phoenix_hypervisor.features.nginx import NginxOptions
from phoenix_hypervisor.history import reading
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import FeatureUse, Guest
from phoenix_hypervisor.model.driver import Run, Tell
from phoenix_hypervisor.model.errors import PhoenixError, StackBusy, Unreachable
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.watch.healing import Do
from phoenix_hypervisor.watch.symptoms import Symptoms


def hands(found: Ward) -> Remedies:
    @asynccontextmanager
    async def anew() -> AsyncIterator[Session]:
        session = found.session
        yield Session(session.desired, found.node.driver(), session.secrets, ())

    return Remedies(found.session, anew)


class Stops(SimDriver):
    """Keeps how long it was given to stop guests."""

    asked: ClassVar[list[float | None]] = []

    async def stop(self, address: Address, tell: Tell, *, limit_s: float | None = None) -> None:
        Stops.asked.append(limit_s)
        await super().stop(address, tell, limit_s=limit_s)


@pytest.mark.parametrize(("cards", "limit_s"), [(("eth1",), 15), (("eth0", "eth1"), 5), ((), 15)])
async def test_only_one_that_nobody_reaches_is_stopped_hard_soon(
    tmp_path: Path, cards: tuple[str, ...], limit_s: float
) -> None:
    Stops.asked.clear()
    found = await ward(tmp_path, kind=Stops)
    guest = found.session.desired.guests[A]
    [card] = guest.nics
    other = replace(card, name="eth1", address="10.9.9.9/24")
    two = replace(guest, nics=(card, other, replace(card, name="eth2", address=None)))
    await hands(found).carry_out(Do("restart", "", cards=cards), two, lambda: None, lambda: None)
    assert Stops.asked == [limit_s]


class Plugs(SimDriver):
    """Tells what somebody took away."""

    taken: Sequence[str] | PhoenixError = ()

    async def plug_again(self, guest: Guest, cards: Sequence[str], tell: Tell) -> None:
        """Not asked for here."""

    async def taken_away(self, guest: Guest, cards: Sequence[str]) -> Sequence[str]:
        if isinstance(self.taken, PhoenixError):
            raise self.taken
        return self.taken


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        ((), Symptoms(cut=("eth0", "eth1"))),
        (("eth1",), Symptoms(cut=("eth0",), taken=("eth1",))),
        (Unreachable("the daemon is away"), Symptoms(cut=("eth0", "eth1"))),
    ],
)
async def test_a_look_tells_which_cards_somebody_took_away(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    taken: Sequence[str] | PhoenixError,
    wanted: Symptoms,
) -> None:
    async def said(self: Remedies, guest: Guest, script: str) -> str:
        return "\nnow 1000\nsystem running\ncard eth0 absent\ncard eth1 absent\n"

    monkeypatch.setattr(SimDriver, "has_inside", True)
    monkeypatch.setattr(Plugs, "taken", taken)
    monkeypatch.setattr(Remedies, "_inside", said)
    found = await ward(tmp_path, kind=Plugs)
    assert await hands(found).look(found.session.desired.guests[A], 10) == wanted


async def test_nobody_comes_between_the_two_plans_of_making_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = remedies._apply
    refused: list[str] = []

    async def between(session: Session, plan: Plan, observed: Observed, words: str) -> None:
        await real(session, plan, observed, words)
        with pytest.raises(StackBusy):
            async with found.node.driver().hold(STACK, Run("1", "ada", "phoenix apply")):
                """It is held still."""
        refused.append(words)

    monkeypatch.setattr(remedies, "_apply", between)
    holds: list[str] = []
    hold = SimDriver.hold

    def counted(self: SimDriver, stack: str, run: Run) -> Any:
        if run.command == remedies.COMMAND:
            holds.append(run.id)
        return hold(self, stack, run)

    found = await ward(tmp_path)
    monkeypatch.setattr(SimDriver, "hold", counted)
    guest = found.session.desired.guests[A]
    await hands(found).carry_out(Do("recreate", ""), guest, lambda: None, lambda: None)
    assert refused == [f"destroy {A}", f"apply --target {A}"]
    assert len(holds) == 1
    commands = [one.command for one in reading.runs(tmp_path, 9)]
    assert commands == [f"{remedies.COMMAND}: {words}" for words in reversed(refused)]
    assert await found.state(A) == "running"


def test_a_check_of_one_server_casts_no_suspicion_on_the_others() -> None:
    servers = [
        {"name": name, "model": {"path": f"/srv/models/{name}.gguf"}, "port": port}
        for name, port in (("chat", 8080), ("words", 8081))
    ]
    llama = FeatureUse("llamacpp", LlamacppOptions.model_validate({"servers": servers}))
    seen = FeatureUse("monitoring", MonitoringOptions())
    guest = replace(plain(101), features=(llama, seen, FeatureUse("nginx", NginxOptions())))
    assert list(suspects(guest, frozenset({"http :8081/health"}))) == [
        "phoenix-llama-words.service"
    ]
    ready = f"http :{MonitoringOptions().port}/-/ready"
    assert list(suspects(guest, frozenset({ready}))) == ["prometheus.service"]
    assert list(suspects(guest, frozenset({f"http :80{HEALTH_PATH}"}))) == ["nginx.service"]
    assert list(suspects(guest, frozenset({"somebody's own"}))) == []
