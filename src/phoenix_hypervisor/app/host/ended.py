"""Features that the host once got and that the files no longer ask for: what they run is ended.

No state is kept of that: Phoenix knows its own files on the host by the note in their first line.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from phoenix_hypervisor import features
from phoenix_hypervisor.host.part import Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError
from phoenix_hypervisor.model.feature import NOTE, Feature
from phoenix_hypervisor.model.node import Node

_SECONDS = 5.0
_LIMIT_S = 300.0
_LOOK = f"""\
look() {{
    ! head -n 1 "$2" 2>/dev/null | grep -q '{NOTE}' || printf '%s %s\\n' "$1" "$2"
}}
"""


async def look(node: Node, desired: Desired) -> tuple[Task, ...]:
    """A task for each feature whose files are still there. Asks the host, and changes nothing."""
    unasked = _unasked(desired)
    asked = [
        f"look {shlex.join((name, path))}"
        for name, feature in unasked.items()
        for path in feature.host_files
    ]
    said = await node.run(_LOOK + "\n".join(asked), "what Phoenix set up on the host before")
    if said.status:
        raise PhoenixError(f"what Phoenix set up on the host can't be seen: {said.err.strip()}")
    return tuple(tasks(said.out))


def tasks(printed: str) -> Iterator[Task]:
    """From what the look printed: a feature and one of its files a line."""
    found: dict[str, list[str]] = {}
    for line in printed.splitlines():
        name, _, path = line.partition(" ")
        found.setdefault(name, []).append(path)
    for name, paths in found.items():
        yield Task(
            Address(f"host/{name}"),
            Action.STOP,
            tuple(FieldChange(f"file {path}", "made by Phoenix", "removed") for path in paths),
            "this folder's files do not ask for it (another folder's may): what it runs is ended; "
            "packages and data stay",
            estimate_s=_SECONDS,
        )


async def end(node: Node, name: str, tell: Tell) -> None:
    """Ends what a feature runs, and removes its files. Raises `ConfigureFailed`."""
    tell(f"ending {name}")
    script = features.available()[name].leave_host_script()
    said = await node.run(script, f"ending {name} on the host", timeout_s=_LIMIT_S)
    if said.status:
        raise ConfigureFailed(
            f"what {name} runs on the host could not be ended",
            detail=(said.out + said.err).strip(),
        )


def _unasked(desired: Desired) -> Mapping[str, Feature[Any]]:
    return {
        name: feature
        for name, feature in features.available().items()
        if feature.host_files and feature.for_host(desired) is None
    }
