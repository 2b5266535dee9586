"""Looks into a guest that is down, and carries out what was decided for it."""

import asyncio
import shlex
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace

from phoenix_hypervisor import features, observe
from phoenix_hypervisor.app import undo
from phoenix_hypervisor.app.past import Past
from phoenix_hypervisor.app.refusing import refuse
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching.turn import Turn
from phoenix_hypervisor.history import origin
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import HEALS, PlugsCards, Run
from phoenix_hypervisor.model.errors import NotFound, PhoenixError
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.options import Options
from phoenix_hypervisor.verify import checks as check_kinds
from phoenix_hypervisor.verify.place import GuestPlace
from phoenix_hypervisor.watch import symptoms
from phoenix_hypervisor.watch.healing import Do
from phoenix_hypervisor.watch.symptoms import Symptoms

COMMAND = HEALS
_LOOK_S = 8.0
_ASK_S = 3.0
_STOP_S = 15.0
_CUT_STOP_S = 5.0
_INSIDE_S = 60.0
Anew = Callable[[], AbstractAsyncContextManager[Session]]

# Stopped hard where it doesn't stop by itself. Whether it came up again is what checks tell: a
# model server takes minutes, and nobody waits for it here.
_AGAIN = """\
for unit in {units}; do
timeout 10 systemctl stop "$unit" || systemctl kill --signal=KILL "$unit"
systemctl reset-failed "$unit" 2>/dev/null
systemctl start --no-block "$unit" || exit 1
done
"""
_WAKE = "systemctl kill --signal=CONT {units}\n"
_CARD = """\
ip link set dev {card} up
if systemctl --quiet is-active systemd-networkd; then networkctl reconfigure {card}
else systemctl restart networking; fi
"""
_ROOM = """\
before=$(df -Pk / | awk 'NR == 2 { print $4 }')
journalctl --quiet --rotate --vacuum-size=8M 2>/dev/null
apt-get clean 2>/dev/null
systemd-tmpfiles --clean 2>/dev/null
after=$(df -Pk / | awk 'NR == 2 { print $4 }')
echo "$(( (after - before) / 1024 )) MiB"
"""


class Remedies:
    """The hands of healing, in one session."""

    def __init__(self, session: Session, anew: Anew) -> None:
        """`anew` opens the same folder once more, for what is done by plans."""
        self._session = session
        self._anew = anew
        self._turn = Turn(self._hold)
        self._by_plans = 0

    @property
    def holds(self) -> bool:
        """Whether a step that is under way holds the stack."""
        return bool(self._by_plans) or self._turn.is_held

    async def look(self, guest: Guest, patience_s: float) -> Symptoms:
        """What is wrong inside; where nothing can be asked, that."""
        if not self._session.driver.has_inside:
            return Symptoms()
        patterns = named(guest)
        cards = _cards(guest) if guest.kind == "lxc" else []
        folders = ["/", *(volume.target for volume in guest.volumes)]
        try:
            async with asyncio.timeout(_LOOK_S):
                said = await self._inside(guest, symptoms.script(patterns, folders, cards))
            seen = symptoms.read(said, patience_s, self._session.secrets.redactor)
            return await self._with_taken(guest, seen)
        except TimeoutError:
            return Symptoms(silent=f"it did not answer within {_LOOK_S:.0f} s")
        except PhoenixError as error:
            return Symptoms(silent=self._session.secrets.redactor(error.message))
        except (ValueError, IndexError):
            return Symptoms(silent="its answer makes no sense")

    async def _with_taken(self, guest: Guest, seen: Symptoms) -> Symptoms:
        """Of the cards that are away, which somebody took. Where that can't be told the driver
        refuses to put on what is not ours.
        """
        driver = self._session.driver
        if not seen.cut or not isinstance(driver, PlugsCards):
            return seen
        with suppress(PhoenixError, TimeoutError):
            async with asyncio.timeout(_ASK_S):
                taken = await driver.taken_away(guest, seen.cut)
            left = tuple(card for card in seen.cut if card not in taken)
            return replace(seen, cut=left, taken=tuple(taken))
        return seen

    async def carry_out(
        self,
        do: Do,
        guest: Guest,
        begins: Callable[[], None],
        takes_down: Callable[[], None],
    ) -> str:
        """Does it; what came of it in a few words, or nothing to tell. `begins` is called when the
        stack is held, before anything is changed; what it raises ends the step. `takes_down` is
        called once the guest is stopped for it. Raises `StackBusy`, and what goes wrong.
        """
        if do.step in ("rollback", "recreate"):

            def by_plan() -> None:  # which begins with stopping it
                begins()
                takes_down()

            done = self._go_back if do.step == "rollback" else self._make_anew
            self._by_plans += 1
            try:
                await done(guest, by_plan)
            finally:
                self._by_plans -= 1
            return ""
        async with self._turn.taken():
            begins()
            return await self._light(do, guest, takes_down)

    async def _light(self, do: Do, guest: Guest, takes_down: Callable[[], None]) -> str:
        driver = self._session.driver
        if do.step == "room":
            return f"made {(await self._inside(guest, _ROOM)).strip()}"
        if do.step == "service":
            await self._inside(guest, _of_service(do))
            return ""
        if do.step == "plug" and isinstance(driver, PlugsCards):
            await driver.plug_again(guest, do.cards, _untold)
            return ""
        if do.step == "restart":
            # Who can be reached by nobody has nothing to finish.
            limit_s = _CUT_STOP_S if {*_cards(guest)} <= {*do.cards} else _STOP_S
            await driver.stop(guest.address, _untold, limit_s=limit_s)
            takes_down()
        await driver.start(guest, _untold)
        return ""

    async def _inside(self, guest: Guest, script: str) -> str:
        session = self._session
        async with GuestPlace(
            session.driver, guest.address, session.secrets.lookup, ip="", shells=1
        ) as place:
            said = await place.inside(script, _INSIDE_S)
        if said.status:
            hide = session.hiding(guest.address)
            last = hide(said.err.strip().rpartition("\n")[2]) or f"exit status {said.status}"
            raise PhoenixError(f"{guest.address}: {last}")
        return said.out

    async def _go_back(self, guest: Guest, begins: Callable[[], None]) -> None:
        name = guest.heal.snapshot
        if name is None:
            raise NotFound(f"{guest.address}: no snapshot is named to go back to")
        async with self._anew() as session, session.hold(COMMAND):
            plan, observed = await undo.plan_rollback(session, guest.address, name, protected=False)
            refuse(plan, frozenset({guest.address}))
            begins()
            await _apply(session, plan, observed, f"rollback {guest.address} {name}")
        await self._start(guest)

    async def _make_anew(self, guest: Guest, begins: Callable[[], None]) -> None:
        """By two plans, as `phoenix destroy` and `phoenix apply` would. Where it broke off before,
        it may be away already.
        """
        address = guest.address
        # Held once for both: nobody comes between them. Each is a run of its own in the history.
        async with self._anew() as session, session.hold(COMMAND):
            observed = await observe.observe(session.desired, session.driver)
            if address in observed.guests or address in observed.unknown:
                plan, observed = await session.plan_destroy([address])
                refuse(plan, frozenset({address}))
                begins()
                first = replace(session, run_id=_run_id())
                await _apply(first, plan, observed, f"destroy {address}")
            else:
                begins()
            plan, observed = await session.plan(Options(targets=frozenset({address})))
            refuse(plan, frozenset())
            await _apply(session, plan, observed, f"apply --target {address}")

    async def _start(self, guest: Guest) -> None:
        async with self._turn.taken():
            await self._session.driver.start(guest, _untold)

    def _hold(self) -> AbstractAsyncContextManager[object]:
        run = Run(_run_id(), origin.user(), COMMAND)
        return self._session.driver.hold(self._session.desired.stack, run)


def named(guest: Guest) -> Sequence[str]:
    """The units that the guest's features run, by names or patterns."""
    known = features.available()
    return [unit for use in guest.features for unit in known[use.name].units]


def suspects(guest: Guest, failing: frozenset[str]) -> Sequence[str]:
    """The units that these checks (by their titles) are about, as far as features tell."""
    known, kinds = features.available(), check_kinds.available()
    found: list[str] = []
    for use in guest.features:
        feature = known[use.name]
        for spec in feature.checks(use.options, guest):
            for kind, words in spec.items():
                check = kinds[kind].model_validate(words)
                if check.title in failing:
                    port = getattr(check, "port", None)
                    unit = feature.unit_at(use.options, port) if port else ""
                    found += [unit] if unit else feature.units
    return found


async def _apply(session: Session, plan: Plan, observed: Observed, words: str) -> None:
    report = await Past(session).apply(
        f"{COMMAND}: {words}", plan, observed, lambda _: None, then_verify=frozenset[Address]()
    )
    if not report.ok:
        told = "; ".join(f"{each.step}: {each.message}" for each in report.failed)
        raise PhoenixError(told or "it was interrupted")


def _cards(guest: Guest) -> Sequence[str]:
    """Its network cards by which it can be reached."""
    return [nic.name for nic in guest.nics if nic.address]


def _run_id() -> str:
    return uuid.uuid4().hex[:12]


def _of_service(do: Do) -> str:
    if do.cards:
        return "".join(_CARD.format(card=shlex.quote(card)) for card in do.cards)
    units = shlex.join(do.units)
    return (_WAKE if do.wakes else _AGAIN).format(units=units)


def _untold(_: str) -> None:
    """Steps of healing tell how they went, not how they go."""
