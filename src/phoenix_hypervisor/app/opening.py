"""Opens a folder on its target: read, checked, its driver connected."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phoenix_hypervisor import drivers, features
from phoenix_hypervisor.app import gpus, hiding, questions
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.config.desire import stack_name
from phoenix_hypervisor.config.folder import FILES
from phoenix_hypervisor.config.load import Loaded, Vocabulary, load
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.model.desired import Desired, Target
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.problem import Problem
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.verify import checks as check_kinds


def vocabulary() -> Vocabulary:
    """The words that features and checks add to the files."""
    known = features.for_guests()
    return Vocabulary(
        features={name: feature.options for name, feature in known.items()},
        checks=check_kinds.available(),
        flaws={name: feature.flaws for name, feature in known.items()},
        engines={name: feature.engines for name, feature in known.items()},
        reaches={name: feature.reaches for name, feature in known.items()},
        listens={name: feature.listens for name, feature in known.items()},
        keeps={name: feature.keeps for name, feature in known.items() if feature.keeps},
    )


def read(folder: Path, on: str | None, environ: Mapping[str, str]) -> Loaded:
    """Reads and checks a folder, offline."""
    return load(folder, vocabulary(), on=on, known_secrets=Secrets(folder, environ).has)


def judge(folder: Path, on: str | None, environ: Mapping[str, str]) -> Loaded:
    """As `read`, with what a plan would refuse though every word is right, such as too much of a
    card, and with checks that can hardly pass.
    """
    known = Secrets(folder, environ).has
    return load(
        folder,
        vocabulary(),
        on=on,
        known_secrets=known,
        of_cards=gpus.flaws,
        of_ways=questions.flaws,
    )


@dataclass(frozen=True, slots=True)
class Declared:
    """What a folder's files want, with the checks that its features add; and their warnings."""

    desired: Desired
    warnings: tuple[Problem, ...]


def declared(folder: Path, on: str | None, environ: Mapping[str, str]) -> Declared:
    """Reads a folder as a session does, offline. Raises `ConfigError` with all problems."""
    return _declared(folder, on, Secrets(folder.absolute(), environ))


@asynccontextmanager
async def session(
    folder: Path,
    on: str | None,
    environ: Mapping[str, str],
    given: Mapping[str, Any] | None = None,
    *,
    redactor: Redactor | None = None,
    loaded: Callable[[Secrets], None] | None = None,
    known: Declared | None = None,
) -> AsyncIterator[Session]:
    """Opens a folder on its target. Raises `ConfigError` with all problems of bad files.

    `given` are fields of `Target` from the command line, which go before the folder's; with them
    (also with none of them) a folder without any file will do: then nothing is wanted. `redactor`
    learns every secret that the session uses; no error leaves it with one. `loaded` is called once
    the files are read, before the driver may start a process. `known` is what `declared` found:
    then they are not read.
    """
    secrets = Secrets(folder.absolute(), environ, redactor)
    if known is None and (given is None or any((folder / name).exists() for name in FILES)):
        known = _declared(folder, on, secrets)
    if known is None:
        known = Declared(Desired(folder, stack_name(folder.resolve().name)), ())
    target = replace(known.desired.target, **(given or {}))
    desired = replace(known.desired, target=target)
    if loaded is not None:
        loaded(secrets)
    driver = drivers.open_driver(
        drivers.chosen(desired.target, on, given),
        desired.target,
        desired.stack,
        environ=environ,
        folder=desired.folder,
        reveal=secrets.lookup,
    )
    async with hiding.errors(secrets.redactor), driver as opened:
        yield Session(desired, opened, secrets, known.warnings)


def name_of_driver(
    folder: Path, on: str | None, environ: Mapping[str, str], given: Mapping[str, Any]
) -> str:
    """The driver that a session would open, also where the files have errors."""
    desired = read(folder, on, environ).desired
    target = replace(desired.target if desired else Target(), **given)
    return drivers.chosen(target, on, given)


def _declared(folder: Path, on: str | None, secrets: Secrets) -> Declared:
    found = load(folder, vocabulary(), on=on, known_secrets=secrets.has)
    if found.desired is None:
        raise ConfigError(f"the files in {folder} have errors", found.problems)
    return Declared(_with_feature_checks(found.desired), found.problems)


def _with_feature_checks(desired: Desired) -> Desired:
    """Adds the checks that features bring along, which prove them without being asked for.

    All of a guest's checks learn what it promises.
    """
    known, kinds = features.available(), check_kinds.available()
    guests = {}
    for address, guest in desired.guests.items():
        added = [
            kinds[kind].model_validate(options)
            for use in guest.features
            for spec in known[use.name].checks(use.options, guest)
            for kind, options in spec.items()
        ]
        checks = (*guest.checks, *added)
        if guest.slo and guest.slo.latency_p95_ms:
            checks = tuple(check.with_objective(guest.slo.latency_p95_ms) for check in checks)
        guests[address] = replace(guest, checks=checks) if checks != guest.checks else guest
    return replace(desired, guests=guests)
