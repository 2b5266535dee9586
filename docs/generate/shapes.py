"""docs/json.md: the documents of `--json`, as real runs on the simulated node print them."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.generate.commands import every
from docs.generate.commands import root as top
from docs.generate.runs import Documents, Runs, quickstart

_HEAD = """\
# JSON

Made by `make docs`: real runs of a copy of `examples/quickstart` on the [simulated
node](targets.md#sim). Of each list one item is shown; times are 0, dates and ids are examples.
The tables hold every word that the runs had, `[]` for the items of a list.

With `--json`, standard output holds one JSON document, or one a line where that is said here, and
nothing else; messages go to standard error. `format` grows by one when a word goes or changes its
meaning; new words may come at any time. Exit statuses are told in
[operations.md](operations.md#exit-codes).
"""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d| UTC)?")
_HASH = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{12,}\b")
_LONG = 300
_EXAMPLES = {"who": "ada", "host": "laptop"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A chapter: what is run, after what; `lines` where each line is a document."""

    title: str
    words: tuple[str, ...]
    told: str = ""
    before: Callable[[Runs], object] | None = None
    lines: bool = False
    table: bool = True
    example: bool = True


def _break(runs: Runs) -> None:
    runs.edit('"cores": 2', '"cores": "two"')


def _mend(runs: Runs) -> None:
    runs.edit('"cores": "two"', '"cores": 2')


def _grow(runs: Runs) -> None:
    runs.edit('"memory_mb": 1024', '"memory_mb": 1536')


def _snapshot(runs: Runs) -> None:
    runs.json("snapshot", "web", "--name", "before-upgrade")


def _cards(runs: Runs) -> None:
    """Gives the host a graphics card, and the guest that serves models its use."""
    card = {"index": 0, "name": "RTX 5060 Ti", "memory_mb": 16311}
    _change(runs, "phoenix_hypervisor_config.json", lambda host: host.update(gpus=[card]))
    _change(runs, "phoenix_lxc_configs.json", _assign)


def _assign(file: dict[str, Any]) -> None:
    for guest in file["lxc_configs"].values():
        if "llamacpp" in guest.get("features", ()):
            guest["gpu_assignment"] = "0"
            model = {"path": "/srv/models/Qwen2.5-7B-Instruct-Q4_K_M.gguf"}
            guest["llamacpp"] |= {"model": model, "alias": "qwen2.5"}


def _change(runs: Runs, name: str, how: Callable[[dict[str, Any]], None]) -> None:
    path = runs.folder / name
    value = json.loads(path.read_text(encoding="utf-8"))
    how(value)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


SHOWN: Sequence[Shown] = (
    Shown("validate", ("validate",), "Here one word is wrong.", before=_break),
    Shown("plan", ("plan",), "Nothing is there yet.", before=_mend),
    Shown("apply", ("apply", "--yes"), "One line of each kind.", lines=True),
    Shown("status", ("status",), "No check can be asked on the simulated node."),
    Shown("check", ("check",)),
    Shown("snapshot", ("snapshot", "web", "--list"), before=_snapshot),
    Shown(
        "a change", ("plan",), "`plan`, with more memory in the files.", before=_grow, table=False
    ),
    Shown("drift", ("drift", "--deep"), "The files have changed since the apply."),
    Shown("graph", ("graph",)),
    Shown("history", ("history",)),
    Shown("secrets", ("secrets", "list")),
    Shown("doctor", ("doctor",), "What it looks at is this machine's.", example=False),
    Shown(
        "graphics cards",
        ("status", "--gpus"),
        "Memory in MiB. `plan` has the same `gpus`.",
        before=_cards,
    ),
    Shown("an error", ("plan", "--target", "nobody"), "Wherever something went wrong."),
)
"""In the order in which they are run: each finds what those before it left."""

OTHERS = {
    ("alerts",): "`alerts list`: `alerts`, each with `address`, `severity`, `since` and `text`; "
    "`alerts test`: `targets`, each with `name`, `ok`, `problem` and `hint`",
    ("slo",): "`guests`, each with its `objective`, `broken`, `burn_rate`, `burning` and "
    "[`windows`](how-to/objectives-and-alerts.md#for-programs)",
    ("serve",): "none of its own: its [API](how-to/dashboard.md) has the documents",
    ("watch",): "a line for each thing that [happens](how-to/watch.md), and a `report`",
    ("adopt", "destroy", "rollback"): "a line for each event, as [apply](#apply)",
    ("backup",): "`list`, `run`: `backups`; `verify`: `guests`, each with `ok`, its `backup`, "
    "`checks`, `not_asked`, `problem` and `left_behind`",
    ("bench",): "[its figures](how-to/measure-an-llm.md#for-programs)",
    ("discover",): "`target`, `nodes`, `guests`, `storages`, `bridges`, `cards`, `templates`, "
    "`notes`; `would_change`: the folder's plan in short, or null",
    ("host",): "`host plan`: as [plan](#plan); `host apply`: as [apply](#apply)",
    ("exec",): "`status`, `out`, `err`",
    ("init", "schema", "logs", "shell"): "none of their own",
}
"""Commands that are not run here, and what they print."""


def application_commands() -> list[str]:
    """The commands that there are."""
    return [words[0] for words, _ in every(top())]


def shapes(root: Path) -> str:
    """The whole page; takes about half a second."""
    there = set(application_commands())
    rows = [
        f"| {', '.join(f'`{name}`' for name in names)} | {told} |" for names, told in OTHERS.items()
    ]
    parts = [_HEAD, "\n".join(["| not shown below | prints |", "|---|---|", *rows]) + "\n"]
    with quickstart(root) as runs:
        for shown in SHOWN:
            if shown.words[0] not in there:
                continue
            if shown.before is not None:
                shown.before(runs)
            status, documents = runs.json(*shown.words)
            parts.extend(_chapter(shown, status, documents))
    return "\n".join(parts)


def _chapter(shown: Shown, status: int, documents: Documents) -> Iterator[str]:
    yield f"## {shown.title}\n"
    told = f"`phoenix --json {' '.join(shown.words)}` ends with {status}. {shown.told}"
    yield f"{told.rstrip()}\n"
    if shown.table:
        yield _table(documents)
    if shown.lines:
        yield f"```json\n{_one_of_each(documents)}\n```\n"
    elif shown.example:
        yield f"```json\n{json.dumps(_calm(documents[0]), indent=2, ensure_ascii=False)}\n```\n"


def _table(documents: Documents) -> str:
    found: dict[str, dict[str, None]] = {}
    for document in documents:
        _words(document, "", found)
    rows = [f"| `{word}` | {', '.join(kinds)} |" for word, kinds in found.items()]
    return "\n".join(["| word | type |", "|---|---|", *rows]) + "\n"


def _one_of_each(documents: Documents) -> str:
    """A line for each kind of event: steps that run at once end in no order, so not the first."""
    kinds = dict.fromkeys(str(line.get("event")) for line in documents)
    lines = sorted((_line(line) for line in documents), reverse=True)
    chosen = {str(json.loads(line).get("event")): line for line in lines}
    return "\n".join(chosen[kind] for kind in kinds)


def _line(document: object) -> str:
    return json.dumps(_calm(document), ensure_ascii=False)


def _words(value: object, place: str, found: dict[str, dict[str, None]]) -> None:
    """Every word below a value, in the order of its first appearance, with its types."""
    if isinstance(value, dict):
        for key, inside in value.items():
            word = f"{place}.{_key(key)}" if place else _key(key)
            kinds = found.setdefault(word, {})
            kinds[_kind(inside)] = None
            _words(inside, word, found)
    elif isinstance(value, list):
        for inside in value:
            if not isinstance(inside, dict | list):
                found.setdefault(f"{place}[]", {})[_kind(inside)] = None
            _words(inside, f"{place}[]", found)


def _key(key: str) -> str:
    """Keys that are names of things, not words: addresses, actions."""
    return "ADDRESS" if "/" in key else key


def _kind(value: object) -> str:
    kinds: list[tuple[type, str]] = [
        (bool, "true, false"),
        (int, "number"),
        (float, "number"),
        (str, "text"),
        (list, "list"),
        (dict, "object"),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _calm(value: Any, key: str = "") -> Any:
    """The value with one item of each list, and without what differs from run to run."""
    if isinstance(value, dict):
        return {name: _calm(inside, name) for name, inside in value.items()}
    if isinstance(value, list):
        return [_calm(value[0], key), *(["…"] if len(value) > 1 else [])] if value else []
    if isinstance(value, str):
        if key in _EXAMPLES:
            return _EXAMPLES[key]
        text = _HASH.sub("0123456789ab", _TIME.sub("2026-01-01T12:00:00Z", value))
        return text if len(text) <= _LONG else text[:_LONG] + "…"
    if isinstance(value, float) or (key.endswith(("_s", "_ms")) and isinstance(value, int)):
        return 0 if key.endswith(("_s", "_ms")) else value
    return value
