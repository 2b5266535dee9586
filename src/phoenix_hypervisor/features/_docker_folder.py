"""A stack's folder on the operator's machine: where it is, and what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path

from phoenix_hypervisor.features._docker_options import Stack

COMPOSE_FILES = (
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.yml",
    "compose.yaml",
)
PRODUCTION = "production"
"""The environment that needs no file of its own: the compose file alone may be it."""


def find(folder: Path, name: str) -> tuple[Path, Path] | None:
    """The stack's folder, and the folder that no link in it may leave. None: there is none.

    Beside `stacks/` the old layout's `../stacks/` is looked into.
    """
    if (folder / "stacks" / name).is_dir():
        return folder / "stacks" / name, folder
    old = folder.parent / "stacks"
    return (old / name, old) if (old / name).is_dir() else None


def compose_files(there: set[str], stack: Stack) -> list[str]:
    """The compose files to use, in their order, of the names that the folder holds.

    Empty where the first one is missing. Other files that are missing are in the list.
    """
    first = next((name for name in COMPOSE_FILES if name in there), None)
    if first is None:
        return []
    stem, _, ending = first.rpartition(".")
    override = f"{stem}.{stack.environment}.{ending}"
    found = [first, *([override] if stack.environment and override in there else [])]
    return [*found, *stack.files]


def variable_files(there: set[str], stack: Stack) -> list[str]:
    """The files with variables, in their order: `.env`, then that of the environment."""
    wanted = [".env", *([f".env.{stack.environment}"] if stack.environment else [])]
    return [name for name in wanted if name in there]


def flaws(folder: Path, stack: Stack) -> Iterator[tuple[str, str]]:
    """What is wrong with a stack's folder: message, and how to mend it."""
    found = find(folder, stack.name)
    if found is None:
        if not stack.optional:
            yield f"there is no folder stacks/{stack.name}", "make it, with a docker-compose.yml"
        return
    path = found[0]
    there = {each.name for each in path.iterdir()}
    files = compose_files(there, stack)
    if not files:
        if not stack.optional:
            yield f"stacks/{stack.name} has no docker-compose.yml", "write one"
        return
    if stack.environment not in (None, PRODUCTION) and not stack.optional:
        own = [name for name in there if f".{stack.environment}" in name]
        if not own:
            yield (
                f"stacks/{stack.name} has no file for the environment {stack.environment}",
                f"write docker-compose.{stack.environment}.yml or .env.{stack.environment}",
            )
    for name in files:
        where = f"stacks/{stack.name}/{name}"
        if not (path / name).is_file():
            yield f"{where} is not there", ""
        elif wrong := _not_yaml(path / name):
            yield f"{where} {wrong}", "`docker compose config` tells more"


def _not_yaml(path: Path) -> str:
    """What is wrong with a compose file's form; empty where nothing is.

    Only its form is looked at, since tags such as `!override` are compose's own matter.
    """
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark
        place = f" in line {at.line + 1}, column {at.column + 1}" if at else ""
        return f"is no YAML{place}: {error.problem}"
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return f"is no YAML: {str(error).splitlines()[0]}"
    except RecursionError:
        return "is nested too deep"
    if not isinstance(root, yaml.MappingNode):
        return "holds no map: a compose file begins with `services:`"
    return ""
