"""Backups: takes them by hand, lists them, and proves them by a restored guest that answers."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from phoenix_hypervisor import observe
from phoenix_hypervisor.app import hiding
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.backup import Backup, BackupStore, RunInside
from phoenix_hypervisor.model.check import OUTPUT_LIMIT, Check, Outcome, Said
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import CheckFailed, PhoenixError, UsageError
from phoenix_hypervisor.model.host.backups import BackupJob
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.verify import run as verify
from phoenix_hypervisor.verify.place import GuestPlace

_BY_HAND = BackupJob("by-hand")
_ELSEWHERE = "it asks another machine"
_NO_AGENT = "without a guest agent (`agent`) there is no way into it"


@dataclass(frozen=True, slots=True)
class Made:
    """One guest's turn of a job: its backup, and how many older ones went; or why there is none."""

    guest: Guest
    job: str
    backup: Backup | None = None
    dropped: int = 0
    failed: PhoenixError | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a restored guest answered. `left_out` are checks that can't be asked of it, and why.

    `failed` is why it came to no answers; `left` why the spare guest could not be removed.
    """

    guest: Guest
    backup: Backup | None = None
    spare: Address | None = None
    answers: tuple[tuple[Check, Outcome], ...] = ()
    left_out: tuple[tuple[Check, str], ...] = ()
    failed: PhoenixError | None = None
    left: PhoenixError | None = None

    @property
    def ok(self) -> bool:
        """Whether it started, and all that could be asked was answered well."""
        well = all(outcome.ok for _, outcome in self.answers)
        return well and self.failed is None and self.left is None


async def listed(session: Session, words: Sequence[str]) -> list[Backup]:
    """The backups of these guests of the files (no words: of every guest), the oldest first."""
    wanted = session.resolve(words)
    found = await _store(session).listed()
    return [one for one in found if not wanted or one.guest in wanted]


def todo(
    session: Session, words: Sequence[str], job: str | None
) -> Sequence[tuple[BackupJob, Sequence[Guest]]]:
    """What a run is to do: this job or all, of these guests or all of the job's.

    Raises `UsageError` for a job that is not in the files, or that has none of these guests.
    """
    jobs = session.desired.host.setup.backups.jobs
    if job is not None and job not in [one.name for one in jobs]:
        known = ", ".join(one.name for one in jobs) or "none"
        raise UsageError(f"there is no backup job {job}", hint=f"jobs of the files: {known}")
    if job is not None:
        chosen: Sequence[BackupJob] = [one for one in jobs if one.name == job]
    else:
        chosen = [one for one in jobs if one.enabled] or ([] if jobs else [_BY_HAND])
    wanted = session.resolve(words)
    found = [(one, _guests(session, one, wanted)) for one in chosen]
    missing = wanted - {guest.address for _, guests in found for guest in guests}
    if missing:
        raise UsageError(f"no backup job has {', '.join(sorted(missing))}")
    return found


async def run(
    session: Session, work: Sequence[tuple[BackupJob, Sequence[Guest]]], tell: Tell
) -> AsyncIterator[Made]:
    """Takes the backups, one guest after another; one that fails does not keep the others."""
    store = _store(session)
    observed = await observe.observe(session.desired, session.driver)
    for job, guests in work:
        for guest in guests:
            if why := observed.unknown.get(guest.address):
                yield Made(guest, job.name, failed=PhoenixError(f"it can't be seen: {why}"))
                continue
            if guest.address not in observed.guests and len(guests) > 1:
                tell(f"{guest.address}: it is not made yet: nothing to back up")
                continue
            tell(f"{guest.address}: backing it up")
            try:
                new, *gone = await store.take(guest, job, _of(guest.address, tell))
            except PhoenixError as error:
                yield Made(guest, job.name, failed=error)
            else:
                yield Made(guest, job.name, new, len(gone))


async def prove(session: Session, words: Sequence[str], tell: Tell) -> AsyncIterator[Proof]:
    """Restores the newest backup of each guest (no words: of each that has one), asks, removes.

    What a killed run left is removed first.
    """
    store = _store(session)
    for left in await store.spares():
        tell(f"{left}: left by a run that was killed")
        await store.discard(left, _of(left, tell))
    wanted = session.resolve(words)
    newest = {one.guest: one for one in await store.listed()}
    for guest in session.desired.guests.values():
        backup = newest.get(guest.address)
        if guest.address in wanted or (not wanted and backup is not None):
            yield await _prove(session, store, guest, backup, tell)


async def _prove(
    session: Session, store: BackupStore, guest: Guest, backup: Backup | None, tell: Tell
) -> Proof:
    if backup is None:
        missing = PhoenixError("there is no backup of it", hint="`phoenix backup run` takes one")
        return Proof(guest, failed=missing)
    observed = await observe.observe(session.desired, session.driver)
    spare = _spare(session, guest, observed)
    told = _of(spare, tell)
    found = Proof(guest, backup, spare)
    try:
        try:
            told(f"restoring the backup of {guest.address} of {backup.taken:%Y-%m-%d %H:%M} UTC")
            await store.restore(backup, guest, spare, told)
            await store.start(guest, spare, told)
            found = await _ask(session, store, found, spare, told)
        except PhoenixError as error:
            found = replace(found, failed=error)
    finally:
        # Also when it is cancelled.
        try:
            await store.discard(spare, told)
        except PhoenixError as error:
            told(f"it could not be removed: {error.message}")
            found = replace(found, left=error)
    return found


@dataclass(frozen=True, slots=True)
class _ByAgent:
    """A spare guest as checks see it that has no way in but one for scripts."""

    run: RunInside
    lookup: Callable[[str], str]

    @property
    def address(self) -> str:
        raise CheckFailed("it is cut off, so that it has no address")

    async def inside(
        self, script: str, timeout_s: float, stdin: bytes = b"", *, keep: int = OUTPUT_LIMIT
    ) -> Said:
        said = await self.run(script, timeout_s, stdin)
        return Said(said.status, _ends(said.out, keep), _ends(said.err, keep))


def _ends(text: str, keep: int) -> str:
    return text if len(text) <= keep else text[: keep // 2] + text[-(keep // 2) :]


async def _ask(
    session: Session, store: BackupStore, proof: Proof, spare: Address, tell: Tell
) -> Proof:
    asked, left_out = _inside(proof.guest, session)
    driver, lookup = session.driver, session.secrets.lookup
    if proof.guest.kind == "vm" and not proof.guest.agent:
        left_out += [(check, _NO_AGENT) for check in asked]
        answers: verify.Answers = []
    elif (by_agent := store.inside_of(spare)) is not None:
        answers = await verify.settle(asked, _ByAgent(by_agent, lookup), tell)
    else:
        async with GuestPlace(driver, spare, lookup, run=session.run_id) as place:
            answers = await verify.settle(asked, place, tell)
    hide = session.hiding(proof.guest.address)
    hidden = tuple((check, hiding.outcome(outcome, hide)) for check, outcome in answers)
    return replace(proof, answers=hidden, left_out=tuple(left_out))


def _inside(guest: Guest, session: Session) -> tuple[list[Check], list[tuple[Check, str]]]:
    """The checks that prove the guest, all asked from inside: it has no way to anybody else."""
    chosen = session.desired.host.setup.backups.checks.get(guest.address)
    if unknown := set(chosen or ()) - {check.title for check in guest.checks}:
        known = ", ".join(check.title for check in guest.checks)
        raise UsageError(
            f"{guest.address} has no check {', '.join(sorted(unknown))}",
            hint=f"`verify_checks` names some of: {known}",
        )
    asked, left_out = list[Check](), list[tuple[Check, str]]()
    for check in guest.checks:
        where = getattr(check, "address", None)
        if chosen is not None and check.title not in chosen:
            left_out.append((check, "`verify_checks` does not name it"))
        elif where not in (None, guest.ip, "127.0.0.1", "::1", "localhost"):
            left_out.append((check, _ELSEWHERE))
        else:
            asked.append(check.brief().model_copy(update={"source": "inside"}))
    return asked, left_out


def _spare(session: Session, guest: Guest, observed: Observed) -> Address:
    """An address whose id nobody has, as far as can be seen."""
    seen = (*observed.guests, *observed.unknown, *session.desired.guests)
    taken = {addresses.ident(one) for one in seen}
    free: Iterator[int] = iter(range(session.desired.host.setup.backups.spare_id, 10**9))
    number = next(one for one in free if str(one) not in taken)
    return addresses.lxc(number) if guest.kind == "lxc" else addresses.vm(number)


def _guests(session: Session, job: BackupJob, wanted: frozenset[Address]) -> list[Guest]:
    own = session.desired.guests.values()
    return [
        guest
        for guest in own
        if (job.guests is None or guest.address in job.guests)
        and (not wanted or guest.address in wanted)
    ]


def _store(session: Session) -> BackupStore:
    return session.driver.backups(session.desired.host.setup.backups)


def _of(address: Address, tell: Tell) -> Tell:
    return lambda words: tell(f"{address}: {words}")
