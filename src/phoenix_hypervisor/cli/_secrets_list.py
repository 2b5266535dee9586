"""`phoenix secrets list`: names, where values come from, who uses them; never a value."""

import os
from typing import Any

from rich.markup import escape
from rich.table import Table

from phoenix_hypervisor.app.secret_uses import Uses, uses
from phoenix_hypervisor.cli import _secrets
from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.cli._text import cell
from phoenix_hypervisor.config.secrets import Secrets, age_file, env_file
from phoenix_hypervisor.config.secrets.lookup import Source
from phoenix_hypervisor.config.secrets.recipients import Recipient
from phoenix_hypervisor.config.secrets.store import Store
from phoenix_hypervisor.model.errors import SecretMissing

_WHERE: dict[Source, str] = {
    "environment": "environment",
    "env_file": env_file.FILE,
    "age_file": age_file.FILE,
}


def show(context: Context) -> int:
    """Shows the list. Exit status 1 where a file of secrets can't be read."""
    path = _secrets.folder(context)
    known, used = _secrets.known(context), uses(context.folder, context.on)
    problems: list[SecretMissing] = []
    for read in (known.local, known.sealed):
        try:
            read()
        except SecretMissing as error:
            problems.append(error)
    store = _secrets.store(context)
    readers: list[Recipient] = []
    try:
        readers = store.recipients()
    except SecretMissing as error:
        problems.append(error)
    names = {*used.places}
    if not problems:
        names |= {*known.local(), *known.sealed()}
    rows = {name: _sources(known, name) for name in sorted(names)}
    if context.json:
        context.document(_document(rows, used, readers, problems))
    else:
        _table(context, rows, used)
        _tell_readers(context, store, readers)
    for problem in problems:
        hint = f" [dim]({escape(problem.hint)})[/]" if problem.hint else ""
        context.say(f"[bold red]error:[/] {escape(problem.message)}{hint}")
    _secrets.warn_if_in_git(context, path)
    return EXIT_FAILED if problems else 0


def _sources(known: Secrets, name: str) -> list[Source] | None:
    """None: not known, since a file can't be read."""
    try:
        return known.sources(name)
    except SecretMissing:
        return ["environment"] if os.environ.get(name) else None


def _document(
    rows: dict[str, list[Source] | None],
    used: Uses,
    readers: list[Recipient],
    problems: list[SecretMissing],
) -> dict[str, Any]:
    return {
        "format": 1,
        "secrets": [
            {
                "name": name,
                "sources": sources,
                "used": [
                    {
                        "file": one.file,
                        "line": one.line,
                        "column": one.column,
                        "pointer": one.pointer,
                    }
                    for one in used.places.get(name, ())
                ],
                "guests": used.guests.get(name, []),
            }
            for name, sources in rows.items()
        ],
        "recipients": [{"key": one.key, "name": one.name} for one in readers],
        "problems": [{"message": one.message, "hint": one.hint} for one in problems],
    }


def _table(context: Context, rows: dict[str, list[Source] | None], used: Uses) -> None:
    if not rows:
        context.print("no secrets; set one: phoenix secrets set NAME")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("SECRET", "FROM", "USED BY"):
        table.add_column(head, overflow="fold")
    for name, sources in rows.items():
        if sources is None:
            where = "[yellow]not known[/]"
        elif not sources:
            where = "[bold red]missing[/]"
        else:
            where = escape(_WHERE[sources[0]])
            if sources[1:]:
                where += f" [dim](also {escape(', '.join(_WHERE[one] for one in sources[1:]))})[/]"
        places = [f"{one.file}:{one.line} {one.pointer}" for one in used.places.get(name, ())]
        table.add_row(cell(name), where, "\n".join(map(cell, places)) or "[dim]nothing[/]")
    context.out.print(table)


def _tell_readers(context: Context, store: Store, readers: list[Recipient]) -> None:
    if not readers:
        return
    names = ", ".join(one.label for one in readers)
    # An age file does not say who its readers are, only how many.
    context.print(f"[dim]the next change encrypts for: {escape(names)}[/]")
    sealed = age_file.readers(store.path) if store.path.exists() else len(readers)
    if sealed != len(readers):
        context.say(
            f"[yellow]not up to date:[/] secrets.recipients names {len(readers)} keys, "
            f"{age_file.FILE} is encrypted for {sealed}: `phoenix secrets rotate --keep-key`"
        )
