"""The whole way from a folder to its desired state, readable at a glance."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from phoenix_hypervisor.config.desire import desire
from phoenix_hypervisor.config.flaws import flaws, placed
from phoenix_hypervisor.config.folder import FILES, Vocabulary
from phoenix_hypervisor.config.guards import guard
from phoenix_hypervisor.config.misnamed import misnamed
from phoenix_hypervisor.config.reading import read
from phoenix_hypervisor.config.rules import problems as broken_rules
from phoenix_hypervisor.config.sure import Sure
from phoenix_hypervisor.config.told import one_line
from phoenix_hypervisor.config.unpublished import unpublished
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.model.problem import Problem

__all__ = ["Loaded", "Vocabulary", "load"]


@dataclass(frozen=True)
class Loaded:
    """What a folder asks for (None where there are errors), and all problems of all files."""

    desired: Desired | None
    problems: tuple[Problem, ...]


Judge = Callable[[Desired], Iterable[Flaw]]
"""Finds what can't be, or hardly, in what is wanted."""


def load(
    folder: Path,
    vocabulary: Vocabulary,
    *,
    on: str | None = None,
    known_secrets: Callable[[str], bool] | None = None,
    of_cards: Judge | None = None,
    of_ways: Judge | None = None,
) -> Loaded:
    """Reads a folder. `on` is the target of the command line, which goes before the file's.

    `known_secrets` says whether a named secret has a value; without it that isn't judged.
    `of_cards` and `of_ways` find more in what is wanted, of graphics cards and of how guests are
    reached; their flaws name their guests. Where the files have errors they are asked of those
    guests of which this is known all the same.

    Problems are sorted by file (hypervisor, lxc, vm, cloud), line and column. Never raises for
    what the files hold.
    """
    path = folder.absolute()
    if (unusable := _unusable(path)) is not None:
        return Loaded(None, (unusable,))
    words, problems = read(path, vocabulary, on, known_secrets)
    wanted = desire(words)
    problems.extend(flaws(words, wanted, problems))
    problems.extend(broken_rules(words))
    problems.extend(misnamed(path))
    if not any((path / file).exists() for file in FILES):
        hint = (
            "name another folder with --dir, or write a starter folder with `phoenix init`; "
            f"the files are: {', '.join(FILES)}"
        )
        message = "the folder holds no file of Phoenix"
        problems.append(Problem("error", ".", 0, 0, "", message, hint))
    guards = guard(words, wanted, _errors(problems))
    problems.extend(guards.problems)
    sure = Sure(words, _errors(problems))
    problems.extend(unpublished(words, sure))
    if of_cards is not None:
        problems.extend(placed(words, of_cards(sure.of_cards(guards.desired))))
    if of_ways is not None:
        problems.extend(placed(words, of_ways(sure.of_ways(guards.desired))))
    problems = sorted(dict.fromkeys(problems), key=_place)
    if _errors(problems):
        return Loaded(None, tuple(problems))
    return Loaded(replace(guards.desired, notes=tuple(problems)), tuple(problems))


def _errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(problem for problem in problems if problem.severity == "error")


def _unusable(path: Path) -> Problem | None:
    """Why nothing can be looked for in this folder."""
    message, hint = f"there is no folder {path}", "name another one with --dir"
    try:
        os.stat(f"{path}/.")  # noqa: PTH116 - a path of pathlib loses the dot, which asks for more
    except NotADirectoryError:
        if path.exists():
            message, hint = f"{path} is a file, not a folder", f"write --dir {path.parent}"
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            reason = (error.strerror or str(error)).lower()
            message, hint = f"the folder {path} can't be opened: {reason}", f"ls -ld {path}"
    else:
        return None
    return Problem("error", ".", 0, 0, "", one_line(message), one_line(hint))


def _place(problem: Problem) -> tuple[int, int, int, str]:
    order = FILES.index(problem.file) if problem.file in FILES else -1
    return (order, problem.line, problem.column, problem.message)
