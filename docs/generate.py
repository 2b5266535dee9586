#!/usr/bin/env python3
"""Writes what is made from the code: `make docs`. A test says that the files are up to date.

docs/configuration.md and schemas/ come from the models of the files' words, docs/commands.md from
the command line itself.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from phoenix_hypervisor import app
from phoenix_hypervisor.cli.main import application
from phoenix_hypervisor.config.reference import markdown
from phoenix_hypervisor.config.schema import schemas

ROOT = Path(__file__).resolve().parent.parent

_COMMANDS_HEAD = """\
# Commands

Made by `make docs` from the command line itself; `phoenix COMMAND --help` shows the same.

After `make up` or `make test` the program is `.venv/bin/phoenix`. A guest is named by its address
(`lxc/101`), its id (`101`) or its name (`web`). The global options may also stand behind the
command: `phoenix plan --json`. Exit codes, the JSON and the environment are told in
[operations.md](operations.md).
"""


def generated() -> dict[Path, str]:
    """Each generated file, relative to the root of the repository, with its content."""
    vocabulary = app.vocabulary()
    found = {
        Path("docs/configuration.md"): markdown(vocabulary),
        Path("docs/commands.md"): commands(),
    }
    for name, schema in schemas(vocabulary).items():
        # The same as `phoenix schema --out schemas` writes.
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        found[Path("schemas") / name] = text
    return found


def commands() -> str:
    """The command line as Markdown: the global options, then a chapter for each command."""
    group: Any = typer.main.get_command(application())
    parts = [
        _COMMANDS_HEAD,
        "## Global options\n",
        "`phoenix [OPTIONS] COMMAND …`\n",
        _options(group),
    ]
    for name, command in group.commands.items():
        usage = " ".join(["phoenix", name, "[OPTIONS]", *_arguments(command)])
        parts += [f"## {name}\n", f"`{usage}`\n", f"{_joined(command.help)}\n", _options(command)]
        parts += [_examples(command.epilog or "")]
    return "\n".join(part for part in parts if part)


def _arguments(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = parameter.name.upper() + ("…" if parameter.nargs == -1 else "")
            yield word if parameter.required else f"[{word}]"


def _options(command: Any) -> str:
    context = command.context_class(command)
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
    return "```sh\n" + "\n".join(_lines(told)) + "\n```\n" if told else ""


def _lines(told: str) -> Iterator[str]:
    for example in told.split(" · "):
        yield example.strip()


def main() -> None:
    """Writes all files that differ, and tells which."""
    for path, text in generated().items():
        target = ROOT / path
        target.parent.mkdir(exist_ok=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
