"""What must hold for any folder: told problems or a desired state, and then a plan or a refusal."""

import asyncio
import functools
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.fuzz.choices import Choices, one_in, pick
from tests.fuzz.making import Maker, Schema
from tests.fuzz.reading import Watch, lines_of, placed

from phoenix_hypervisor import app
from phoenix_hypervisor.config.folder import FILES, Vocabulary
from phoenix_hypervisor.config.schema import schemas
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.plan import as_json, render
from phoenix_hypervisor.plan.options import Options

ROOT = Path(__file__).parents[2]
_GOOD = ROOT / "tests/unit/config/good"
EXAMPLES = (
    ROOT / "examples/quickstart",
    _GOOD / "new-words",
    _GOOD / "old-layout/etc",
    _GOOD / "proxmox-words",
    _GOOD / "lists",
    _GOOD / "maps-by-name",
    Path(__file__).parent / "example",
)
BUDGET_S = 3.0
VARIABLE = "PHOENIX_SIM_STATE"
SECRETS = dict.fromkeys(
    ("A", "APP", "PORTFOLIO_DB_PASSWORD", "LLM_API_KEY", "PVE_TOKEN", "DB", "TOKEN"), "x" * 20
)


@functools.cache
def vocabulary() -> Vocabulary:
    """All features and checks there are."""
    return app.vocabulary()


@functools.cache
def _schemas() -> dict[str, Schema]:
    return {
        name.replace(".schema.json", ".json"): schema
        for name, schema in schemas(vocabulary()).items()
    }


@functools.cache
def _example(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in FILES if (folder / name).exists()}


@dataclass
class Folder:
    """A changed example in a place of its own. `files`: the bytes of what was written last."""

    place: Path
    values: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, choices: Choices, scratch: Path) -> Self:
        """One of the examples, with the scripts and sites that its files name."""
        example = pick(choices, EXAMPLES)
        place = scratch / example.name
        if not place.exists():
            shutil.copytree(example, place, ignore=shutil.ignore_patterns(*FILES))
        return cls(place, {name: json.loads(text) for name, text in _example(example).items()})

    def change(self, choices: Choices, most: int) -> None:
        """Changes something in up to so many places."""
        for _ in range(choices.below(most + 1)):
            name = pick(choices, FILES if one_in(choices, 10) else sorted(self.values))
            maker = Maker(_schemas()[name], choices)
            self.values[name] = maker.change(self.values.get(name, {}))

    def write(self, choices: Choices) -> None:
        """Writes the files; now and then with a slip of the finger in one of them."""
        self.files = {}
        for name in FILES:
            (self.place / name).unlink(missing_ok=True)
            if name not in self.values:
                continue
            indent = pick(choices, (None, 1))
            text = json.dumps(self.values[name], indent=indent, ensure_ascii=False)
            if one_in(choices, 16):
                at = choices.below(max(len(text), 1))
                text = text[:at] + pick(choices, ("", ",", '"', "}", "\\", "\0")) + text[at + 1 :]
            self.files[name] = text.encode("utf-8", "surrogatepass")
            (self.place / name).write_bytes(self.files[name])

    def read(self) -> bool:
        """Whether the files are right; what is told of them must stand where it is told."""
        with Watch("reading the folder", BUDGET_S):
            loaded = app.read(self.place, "sim", {})
        for problem in loaded.problems:
            data = self.files.get(problem.file)
            placed(problem, lines_of(data) if data is not None else None)
        errors = [problem for problem in loaded.problems if problem.severity == "error"]
        assert (loaded.desired is None) == bool(errors)
        return loaded.desired is not None


def any_folder(choices: Choices, scratch: Path) -> str:
    """A changed example is refused, or can be planned and applied. Says how it went."""
    folder = Folder.of(choices, scratch)
    folder.change(choices, 5)
    folder.write(choices)
    if not folder.read():
        return "refused"
    with Watch("planning", BUDGET_S):
        return asyncio.run(_applied(folder.place, {}))


def any_change(choices: Choices, scratch: Path) -> str:
    """What one folder left is brought to another one, with nothing left to do. Says how it went."""
    folder = Folder.of(choices, scratch)
    node = scratch / "node.json"
    node.unlink(missing_ok=True)
    environ = {VARIABLE: str(node)}
    went = "refused"
    with Watch("two applies", 2 * BUDGET_S):
        for _ in range(2):
            folder.change(choices, 3)
            folder.write(choices)
            if not folder.read():
                return "refused"
            went = asyncio.run(_applied(folder.place, environ))
    return went


async def _applied(place: Path, environ: Mapping[str, str]) -> str:
    try:
        async with app.session(place, "sim", {**SECRETS, **environ}) as session:
            options = Options(prune=True)
            plan, observed = await session.plan(options)
            again, _ = await session.plan(options)
            assert as_json.dump(again) == as_json.dump(plan)
            json.dumps(as_json.dump(plan), allow_nan=False)
            render.text(plan)
            if plan.refusals:
                return "not possible"
            report = await session.apply(plan, observed, lambda _: None, parallel=8)
            assert report.ok, report.failed
            left, _ = await session.plan(options)
            assert left.changes == ()
            assert left.kept == ()
    except PhoenixError as error:
        if not error.message:
            raise AssertionError("an error without a message") from error
        return type(error).__name__
    return "applied"
