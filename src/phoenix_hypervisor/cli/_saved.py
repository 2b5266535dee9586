"""A saved plan's file: the plan, and what it was asked for, so that it can be made again."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import as_json
from phoenix_hypervisor.plan.options import Options


class _Asked(BaseModel):
    """What the plan was made for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    targets: list[str] = Field(default_factory=list)
    prune: bool = False
    reconfigure: list[str] = Field(default_factory=list)


def document(plan: Plan, options: Options) -> dict[str, Any]:
    """A plan with what it was asked for: what `phoenix --json plan` prints and `--out` saves."""
    asked = _Asked(
        targets=sorted(options.targets),
        prune=options.prune,
        reconfigure=sorted(options.reconfigure),
    )
    return as_json.dump(plan) | {"options": asked.model_dump()}


def write(path: Path, plan: Plan, options: Options) -> None:
    """Saves a plan with its options. Raises `UsageError` where the file can't be written."""
    try:
        path.write_text(json.dumps(document(plan, options), indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"can't write the plan to {path}: {error.strerror}") from error


def read(path: Path) -> tuple[Plan, Options]:
    """A saved plan with its options. Raises `UsageError` for everything that is none."""
    try:
        found: Any = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"can't read the plan {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no saved plan: {error}") from error
    plan = as_json.load(found)
    try:
        asked = _Asked.model_validate(found.get("options", {}))
    except ValidationError as error:
        raise UsageError(
            f"the saved plan {path} is damaged: its options are not right",
            hint="make it again with `phoenix plan --out FILE`",
        ) from error
    return plan, Options(
        targets=frozenset(map(Address, asked.targets)),
        prune=asked.prune,
        reconfigure=frozenset(map(Address, asked.reconfigure)),
    )
