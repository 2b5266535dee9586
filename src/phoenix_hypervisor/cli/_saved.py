"""A saved plan's file: the plan, and what it was asked for, so that it can be made again."""

import json
from pathlib import Path
from typing import Any

from phoenix_hypervisor.app import told
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.options import Options


def write(path: Path, plan: Plan, options: Options) -> None:
    """Saves a plan with its options. Raises `UsageError` where the file can't be written."""
    try:
        path.write_text(json.dumps(told.plan(plan, options), indent=1) + "\n")
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
    return told.read_plan(found, str(path))
