"""docs/commands.md: the command line as Markdown, read from the command line itself."""

import re
from collections.abc import Collection, Iterator
from typing import Any

import typer

from phoenix_hypervisor.cli._context import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_PENDING,
    EXIT_USAGE,
)
from phoenix_hypervisor.cli.main import application

_HEAD = """\
# Commands

Made by `make docs` from the command line itself; `phoenix COMMAND --help` shows the same.

After `make up` or `make test` the program is `.venv/bin/phoenix`. A guest is named by its address
(`lxc/101`), its id (`101`) or its name (`web`). The global options may also stand behind the
command: `phoenix plan --json`. The environment is told in
[operations.md](operations.md#environment).

| exit status | when |
|---|---|
| 0 | success, also with warnings |
| {failed} | something failed, or a check did not pass |
| {pending} | only with `--detailed-exitcode`: changes are pending, or something differs |
| {usage} | wrong usage, also where a question would be asked without a terminal |
| {interrupted} | interrupted: what is half done is printed |
"""


def commands(documented: Collection[str]) -> str:
    """The global options, then a chapter for each command and each of its own commands.

    `documented` names the commands that have a chapter in docs/json.md.
    """
    group = root()
    parts = [
        _HEAD.format(
            failed=EXIT_FAILED,
            pending=EXIT_PENDING,
            usage=EXIT_USAGE,
            interrupted=EXIT_INTERRUPTED,
        ),
        "## Global options\n",
        "`phoenix [OPTIONS] COMMAND …`\n",
        options(group),
    ]
    for words, command in every(group):
        parts += [*_chapter(words, command)]
        if words[0] in documented and len(words) == 1:
            parts.append(f"With `--json`: [its document](json.md#{words[0]}).\n")
    return "\n".join(part for part in parts if part)


def root() -> Any:
    """The command line with all of its commands (click's group)."""
    return typer.main.get_command(application())


def every(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands, each by its words: `("plan",)`, `("secrets", "set")`; a group before its own.

    Asks as click does, so that commands that are loaded late are there.
    """
    for name in group.list_commands(_context(group)):
        command = group.get_command(_context(group), name)
        if not command.hidden:
            yield (*before, name), command
            if hasattr(command, "list_commands"):
                yield from every(command, (*before, name))


def _context(command: Any) -> Any:
    return command.context_class(command)


def _chapter(words: tuple[str, ...], command: Any) -> Iterator[str]:
    named = " ".join(words)
    more = ["COMMAND", "…"] if hasattr(command, "list_commands") else [*_arguments(command)]
    yield f"{'#' * (len(words) + 1)} {named}\n"
    yield f"`{' '.join(['phoenix', named, '[OPTIONS]', *more])}`\n"
    yield f"{_joined(command.help or '')}\n"
    yield options(command)
    yield _examples(command.epilog or "")


def _arguments(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = parameter.name.upper() + ("…" if parameter.nargs == -1 else "")
            yield word if parameter.required else f"[{word}]"


def options(command: Any) -> str:
    """A table of a command's options and arguments; nothing where it has none."""
    context = _context(command)
    rows = [
        f"| {_words(parameter, context)} | {_default(parameter)} | {_cell(parameter.help or '')} |"
        for parameter in command.params
        if not parameter.hidden
    ]
    return "\n".join(["| option | default | does |", "|---|---|---|", *rows]) + "\n" if rows else ""


def _words(parameter: Any, context: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{word}{_value(parameter, context)}`" for word in parameter.opts)


def _value(parameter: Any, context: Any) -> str:
    if parameter.is_flag:
        return ""
    if parameter.metavar:
        return f" {parameter.metavar}"
    kinds = {"path": "PATH", "list": "GUEST", "int": "N", "float": "SECONDS"}
    kind = re.findall(r"\w+", parameter.display_type(context))[0]
    return f" {kinds.get(kind, parameter.name.upper())}"


def _default(parameter: Any) -> str:
    parts = []
    if parameter.default not in (None, False, ()) and not callable(parameter.default):
        parts.append(f"`{parameter.default}`")
    if parameter.envvar:
        parts.append(f"`${parameter.envvar}`")
    return " or ".join(reversed(parts))


def _cell(text: str) -> str:
    return _joined(text).replace("|", "\\|")


def _joined(text: str) -> str:
    return " ".join(text.split())


def _examples(epilog: str) -> str:
    """`Examples: phoenix plan · phoenix apply` as a block of shell lines."""
    told = re.sub(r"^Examples?: ", "", epilog)
    lines = "\n".join(example.strip() for example in told.split(" · "))
    return f"```sh\n{lines}\n```\n" if told else ""
