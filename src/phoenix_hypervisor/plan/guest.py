"""Decides what is to be done with one guest: which steps, at what cost, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from phoenix_hypervisor.model.change import Action, FieldChange, Impact
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest, Json
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.observed import Fields, SeenGuest
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.diff import diff
from phoenix_hypervisor.plan.graph import clones_of
from phoenix_hypervisor.plan.options import Options
from phoenix_hypervisor.plan.rolling import in_turn


def decide(
    guest: Guest, seen: SeenGuest | None, desired: Desired, driver: Driver, options: Options
) -> Decision:
    """The decision for a guest that the files ask for."""
    found = _decide(guest, seen, desired, driver, options)
    return in_turn(found, guest, seen, desired, options)


def _decide(
    guest: Guest, seen: SeenGuest | None, desired: Desired, driver: Driver, options: Options
) -> Decision:
    wanted = driver.project(guest)
    if seen is None:
        return _create(guest, wanted, driver, "it is not there")
    if seen.stack != desired.stack:
        return Decision(refusals=(_foreign(guest, seen),))
    if seen.state == "unknown":
        return Decision(refusals=(f"{guest.address}: whether it runs can't be seen",))
    if not seen.complete:
        reason = "its creation broke off; what is there is removed and made anew"
        return _create(guest, wanted, driver, reason)
    fields = diff(wanted, seen.fields)
    impacts = [driver.impact(guest, seen, change) for change in fields]
    remade = [
        change.path
        for change, impact in zip(fields, impacts, strict=True)
        if impact is Impact.DESTRUCTIVE and not change.path.startswith("volumes.")
    ]
    destroying = [c.path for c, i in zip(fields, impacts, strict=True) if i is Impact.DESTRUCTIVE]
    if destroying and (guest.protected or seen.protected):
        return Decision(refusals=(_protected(guest, destroying),))
    if remade:
        return _replace(guest, seen, fields, remade, driver)
    inside = _inside(guest, seen, options)
    differences = _Differences(
        fields,
        Impact.worst(impacts),
        inside,
        _old_snapshot(guest, seen, desired, configured=bool(inside)),
        _checked(guest, driver),
    )
    return _adjust(guest, seen, differences)


def _create(guest: Guest, wanted: Fields, driver: Driver, reason: str) -> Decision:
    of = guest.source
    source: Json = of.address if isinstance(of, CloneOf) else of.template
    features: list[Json] = [use.name for use in guest.features]
    fields = (
        FieldChange("source", None, source),
        *diff(wanted, {}),
        *([FieldChange("features", None, features)] if features else ()),
    )
    return Decision(Action.CREATE, _whole(guest, driver), fields=fields, reasons=(reason,))


class _Walk:
    """Steps in order, with the starts and stops that they need in between."""

    def __init__(self, *, running: bool) -> None:
        self._running = running
        self.steps: list[str] = []

    def be(self, *, running: bool) -> None:
        """Starts or stops the guest, where it isn't so already."""
        if self._running is not running:
            self.steps.append("start" if running else "stop")
            self._running = running

    def do(self, name: str) -> None:
        """Adds a step."""
        self.steps.append(name)


def _adjust(guest: Guest, seen: SeenGuest, differences: "_Differences") -> Decision:
    fields, impact = differences.fields, differences.impact
    running = seen.state == "running"
    pending = seen.pending if running else ()  # at its next start a stopped guest takes them anyway
    restart = bool(pending) or (bool(fields) and impact is not Impact.LIVE)
    walk = _Walk(running=running)
    if restart:
        walk.be(running=False)
    if fields:
        walk.do("update")
    if differences.inside:
        walk.be(running=True)
        walk.do("configure")
    if differences.snapshot:
        walk.be(running=False)
        walk.do("snapshot")
    walk.be(running=guest.runs)
    if not walk.steps:
        return Decision()
    if differences.checked:
        walk.do("check")
    reasons = [_named(fields)] if fields else []
    reasons += [f"{field} waits for a restart" for field in pending]
    reasons += [*differences.inside, *differences.snapshot]
    if fields or pending:
        action = Action.UPDATE
    elif differences.inside or differences.snapshot:
        action = Action.CONFIGURE
    else:
        action = Action.START if guest.runs else Action.STOP
        reasons.append("it is stopped" if guest.runs else "it is running, and a template rests")
    if impact is not Impact.DESTRUCTIVE:
        restarts = running and {"stop", "start"} <= set(walk.steps)
        impact = Impact.RESTART if restarts else Impact.LIVE
    return Decision(action, tuple(walk.steps), impact, fields, tuple(reasons))


@dataclass(frozen=True, slots=True)
class _Differences:
    """All in which a guest that is there differs; the lists hold reasons."""

    fields: tuple[FieldChange, ...]
    impact: Impact
    inside: list[str]
    snapshot: list[str]
    checked: bool


def _whole(guest: Guest, driver: Driver) -> tuple[str, ...]:
    walk = _Walk(running=False)
    walk.do("create")
    if guest.features or guest.script:
        walk.be(running=True)
        walk.do("configure")
    if guest.snapshot_name:
        walk.be(running=False)
        walk.do("snapshot")
    walk.be(running=guest.runs)
    if _checked(guest, driver):
        walk.do("check")
    return tuple(walk.steps)


def _replace(
    guest: Guest,
    seen: SeenGuest,
    fields: tuple[FieldChange, ...],
    remade: Sequence[str],
    driver: Driver,
) -> Decision:
    reasons = [f"{', '.join(remade)} can only change by making it anew; its root disk is lost"]
    reasons += [f"its volume {name} is lost too" for name in _lost_volumes(fields)]
    # Shut down cleanly before: its volumes are kept, and databases lie on them.
    stopped = ("stop",) if seen.state == "running" else ()
    steps = (*stopped, "delete", *_whole(guest, driver))
    return Decision(Action.REPLACE, steps, Impact.DESTRUCTIVE, fields, tuple(reasons))


def _lost_volumes(fields: Sequence[FieldChange]) -> list[str]:
    """Volumes that are left behind in another pool, perhaps with the guest that they follow."""
    return [
        change.path.removeprefix("volumes.").removesuffix(".pool")
        for change in fields
        if change.path.startswith("volumes.") and change.path.endswith(".pool")
        if change.before is not None
    ]


def _inside(guest: Guest, seen: SeenGuest, options: Options) -> list[str]:
    wanted = options.fingerprints.get(guest.address)
    if guest.address in options.reconfigure and (guest.features or guest.script):
        return [f"asked to run all features again: {_all_inside(guest)}"]
    if wanted == seen.fingerprint:
        return []
    if wanted is None:
        dropped = not (guest.features or guest.script)
        return ["it has no features any more: what they run is ended"] if dropped else []
    if seen.fingerprint is None:
        return [f"its features are not completely applied: {_all_inside(guest)}"]
    told = "its inside is not as its features, their options and their files are now"
    return [f"{told}: {_all_inside(guest)}"]


def _all_inside(guest: Guest) -> str:
    script = ["its script"] if guest.script else []
    return " + ".join([*(use.name for use in guest.features), *script])


def _old_snapshot(
    guest: Guest, seen: SeenGuest, desired: Desired, *, configured: bool
) -> list[str]:
    if guest.snapshot_name is None:
        return []
    snapshot = seen.snapshot(guest.snapshot_name)
    if snapshot is None:
        return [f"its snapshot {guest.snapshot_name} is missing"]
    # Compared with what is inside, not with what is wanted: features that the files dropped stay.
    if not configured and snapshot.fingerprint == seen.fingerprint:
        return []
    clones = clones_of(guest.address, desired)
    told = f"; clones made before stay as they are: {', '.join(clones)}" if clones else ""
    return [f"its snapshot {guest.snapshot_name} is taken again{told}"]


def _checked(guest: Guest, driver: Driver) -> bool:
    return guest.runs and bool(guest.checks) and driver.has_inside


def _named(fields: Sequence[FieldChange]) -> str:
    paths = [change.path for change in fields]
    verb = "differs" if len(paths) == 1 else "differ"
    return f"{', '.join(paths)} {verb} from the files"


def _protected(guest: Guest, paths: Sequence[str]) -> str:
    return (
        f"{guest.address} is protected, and changing {', '.join(paths)} destroys data: "
        "set `protected` to false and apply, before you change it"
    )


def _foreign(guest: Guest, seen: SeenGuest) -> str:
    owner = f"the stack “{seen.stack}”" if seen.stack else "somebody else"
    take = "" if seen.stack else f"take it over with `phoenix adopt {guest.address}`, or "
    told = f"{take}give the guest another id in the files"
    return (
        f"{guest.address}: the id is taken by “{seen.name}”, which {owner} made; it is left alone. "
        f"{told[0].upper()}{told[1:]}"
    )
