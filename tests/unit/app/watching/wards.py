"""Two guests of a simulated node with a healer, for tests of healing."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.unit.apply.nodes import Node
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching.healer import Healer
from phoenix_hypervisor.app.watching.remedies import Remedies
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.heal import HealPolicy
from phoenix_hypervisor.model.watching import GuestChanged, Happening, Health
from phoenix_hypervisor.watch.healing import Do
from phoenix_hypervisor.watch.symptoms import Symptoms

T = 10_000.0
A, B = lxc(101), lxc(102)


class Remembers(SimDriver):
    """A target that remembers who stopped guests."""

    who: str | None = None

    async def who_stopped(self, address: Address) -> str | None:
        return self.who


@dataclass
class Ward:
    """Two guests of a simulated node, and a healer for them. The clock is the test's."""

    node: Node
    session: Session
    now: float = T
    told: list[Happening] = field(default_factory=list)

    def healer(
        self,
        *,
        observe_only: bool = False,
        before: list[Happening] | None = None,
        fresh: Callable[[Address], GuestStatus | None] | None = None,
    ) -> Healer:
        @asynccontextmanager
        async def anew() -> AsyncIterator[Session]:
            session = self.session
            yield Session(session.desired, self.node.driver(), session.secrets, ())

        return Healer(
            self.session,
            anew,
            self.told.append,
            observe_only=observe_only,
            before=before or [],
            clock=lambda: self.now,
            fresh=fresh,
        )

    async def stopped(self, address: Address, by: str | None = None) -> GuestStatus:
        await self.node.driver().stop(address, lambda _: None)
        change = GuestChanged(address, "stopped", self.now, by)
        return GuestStatus(
            address, "web", "stopped", "down", self.now, why="it is stopped", change=change
        )

    def running(self, address: Address, health: Health = "up") -> GuestStatus:
        return GuestStatus(address, "web", "running", health, self.now)

    async def state(self, address: Address) -> str:
        seen = (await self.node.driver().observe(self.session.desired)).guests.get(address)
        return seen.state if seen else "absent"

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(one.what, one.step) for one in self.told]


async def ward(
    folder: Path, policy: HealPolicy | None = None, kind: type[SimDriver] = SimDriver
) -> Ward:
    policy = policy or HealPolicy()
    guests = [replace(plain(number), heal=policy) for number in (101, 102)]
    guests[1] = replace(guests[1], dependencies=(A,))
    wanted = desired(*guests, folder=folder)
    node = Node(wanted, driver_type=kind)
    session = Session(wanted, node.driver(), Secrets(folder, {}), ())
    assert (await node.walk(await node.plan(fingerprints=session._fingerprints()))).ok
    return Ward(node, session)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> list[Symptoms]:
    """What the looks into guests find, one after the other; the last one again and again."""
    looks: list[Symptoms] = []

    async def look(self: Remedies, guest: Guest, patience_s: float) -> Symptoms:
        return looks.pop(0) if len(looks) > 1 else looks[0]

    async def light(self: Remedies, do: Do, guest: Guest, down: Callable[[], None]) -> str:
        return "made 12 MiB" if do.step == "room" else ""

    monkeypatch.setattr(SimDriver, "has_inside", True)
    monkeypatch.setattr(Remedies, "look", look)
    monkeypatch.setattr(Remedies, "_light", light)
    return looks
