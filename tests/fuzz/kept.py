"""What must hold for files that Phoenix wrote and somebody damaged: saved plans, the simulated
node's state, and secrets.
"""

import asyncio
import copy
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.choices import Choices, one_in, pick
from tests.fuzz.folders import EXAMPLES, SECRETS, VARIABLE
from tests.fuzz.making import NUMBERS, ODD, TEXTS
from tests.fuzz.reading import Watch

from phoenix_hypervisor import app
from phoenix_hypervisor.cli import _saved
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.model.errors import PhoenixError, SecretMissing
from phoenix_hypervisor.plan import as_json, render
from phoenix_hypervisor.plan.options import Options

EXAMPLE = EXAMPLES[-1]
BUDGET_S = 3.0


def any_plan(choices: Choices, scratch: Path) -> str:
    """A changed saved plan is refused, or does exactly what the right one does."""
    place = _folder(scratch)
    document = copy.deepcopy(_plan(place))
    for _ in range(choices.below(4)):
        document = _changed(choices, document)
    path = scratch / "change.plan"
    path.write_text(json.dumps(document))
    with Watch("a saved plan", BUDGET_S):
        return asyncio.run(_applied(place, path))


async def _applied(place: Path, path: Path) -> str:
    try:
        plan, options = _saved.read(path)
        render.text(plan)
        json.dumps(as_json.dump(plan))
        async with app.session(place, "sim", SECRETS) as session:
            plan, observed = await session.renew(plan, options)
            async with asyncio.timeout(BUDGET_S):
                report = await session.apply(plan, observed, lambda _: None, parallel=8)
            assert report.ok, report.failed
            left, _ = await session.plan(Options())
            assert left.changes == ()
    except PhoenixError as error:
        if not error.message:
            raise AssertionError("an error without a message") from error
        return type(error).__name__
    return "applied"


def any_state(choices: Choices, scratch: Path) -> str:
    """A changed state of the simulated node is refused, or is a node that can be planned for."""
    place = _folder(scratch)
    document = copy.deepcopy(_state())
    for _ in range(choices.below(4)):
        document = _changed(choices, document)
    path = scratch / "node.json"
    path.write_text(json.dumps(document))
    with Watch("a node's state", BUDGET_S):
        return asyncio.run(_planned(place, path))


async def _planned(place: Path, path: Path) -> str:
    try:
        async with app.session(place, "sim", SECRETS | {VARIABLE: str(path)}) as session:
            await session.health()
            plan, observed = await session.plan(Options(prune=True))
            render.text(plan)
            json.dumps(as_json.dump(plan))
            if plan.refusals:
                return "not possible"
            async with asyncio.timeout(BUDGET_S):
                report = await session.apply(plan, observed, lambda _: None, parallel=8)
            for failure in report.failed:
                assert "unexpected" not in failure.message, failure
            if report.ok:
                left, _ = await session.plan(Options(prune=True))
                assert left.changes == ()
    except PhoenixError as error:
        if not error.message:
            raise AssertionError("an error without a message") from error
        return type(error).__name__
    return "applied" if report.ok else "failed"


def any_secrets(data: bytes, scratch: Path) -> str:
    """Any bytes as the file of secrets; and what is written there is read again."""
    path = scratch / ".phoenix-secrets.env"
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(data)
    try:
        with Watch("the secrets"):
            value = Secrets(scratch, {}).lookup("A")
    except SecretMissing:
        return "none"
    path.unlink()
    Secrets(scratch, {}).add("A", value)
    assert Secrets(scratch, {}).lookup("A") == value
    return "read"


def any_secret(value: str, scratch: Path) -> None:
    """What is written as a secret is read again, beside another one. An empty one is none."""
    (scratch / ".phoenix-secrets.env").unlink(missing_ok=True)
    secrets = Secrets(scratch, {})
    for name, text in (("A", "first"), ("B", value), ("A", value), ("C.d-e", "x")):
        secrets.add(name, text)
    for reader in (secrets, Secrets(scratch, {})):
        assert reader.has("A") is bool(value)
        if value:
            assert [reader.lookup(name) for name in ("A", "B", "C.d-e")] == [value, value, "x"]


def _changed(choices: Choices, document: Any) -> Any:
    """The document with another value somewhere, one less, or one twice."""
    holder: Any = None
    last: Any = None
    value = document
    while isinstance(value, dict | list) and value and not one_in(choices, 6):
        last = (
            pick(choices, sorted(value)) if isinstance(value, dict) else choices.below(len(value))
        )
        holder, value = value, value[last]
    odd = copy.deepcopy(pick(choices, (*ODD, *NUMBERS, *TEXTS)))
    if holder is None:
        return odd
    match choices.below(5):
        case 0:
            del holder[last]
        case 1 if isinstance(holder, list):
            holder.append(copy.deepcopy(value))
        case 2 if isinstance(holder, list):
            holder[last] = pick(choices, holder)
        case 1 | 2:
            holder[str(odd)] = value
        case 3 if isinstance(value, str):
            holder[last] = value + str(odd)
        case _:
            holder[last] = odd
    return document


def _folder(scratch: Path) -> Path:
    place = scratch / "folder"
    if not place.exists():
        shutil.copytree(EXAMPLE, place)
    return place


@functools.cache
def _plan(place: Path) -> dict[str, Any]:
    async def make() -> dict[str, Any]:
        async with app.session(place, "sim", SECRETS) as session:
            plan, _ = await session.plan(Options())
        return as_json.dump(plan) | {"options": {"targets": [], "prune": False, "reconfigure": []}}

    made: dict[str, Any] = json.loads(json.dumps(asyncio.run(make())))
    return made


@functools.cache
def _state() -> dict[str, Any]:
    """The example, applied, and then moved on a little, so that there is something to plan."""

    async def make(path: Path) -> None:
        async with app.session(EXAMPLE, "sim", SECRETS | {VARIABLE: str(path)}) as session:
            plan, observed = await session.plan(Options())
            await session.apply(plan, observed, lambda _: None)

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "node.json"
        asyncio.run(make(path))
        found: dict[str, Any] = json.loads(path.read_text())
    found["guests"]["lxc/101"]["state"] = "stopped"
    found["guests"]["lxc/102"]["fields"]["memory_mb"] = 256
    found["guests"]["lxc/300"] = copy.deepcopy(found["guests"]["lxc/103"]) | {"stack": None}
    found["guests"]["lxc/301"] = copy.deepcopy(found["guests"]["lxc/103"])
    return found
