"""How long the command line takes to start: what every command pays."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.clock import Row, in_turns, medians, run, spent, times
from tests.e2e.stack import PHOENIX

_BARE = '''\
from typing import Annotated

import typer

app = typer.Typer()


def tell(wanted: bool) -> None:
    if wanted:
        typer.echo("bare 1.0")
        raise typer.Exit


@app.callback()
def settings(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=tell)] = False,
) -> None:
    """The least that Typer can be asked for with a version and a command."""


@app.command()
def hello() -> None:
    """Says hello."""
    typer.echo("hello")


if __name__ == "__main__":
    app()
'''


def rows(folder: Path) -> Iterator[Row]:
    """An empty Python, a bare Typer program, and Phoenix. Processor time, median of 15 runs."""
    folder.mkdir()
    bare = folder / "bare.py"
    bare.write_text(_BARE)
    python = sys.executable
    took = medians(
        in_turns(
            {
                "python": lambda: run([python, "-c", "pass"]),
                "bare": lambda: run([python, str(bare), "--version"]),
                "version": lambda: run([str(PHOENIX), "--version"]),
                "help": lambda: run([str(PHOENIX), "--help"]),
            },
            rounds=15,
            clock=spent,
        )
    )
    yield Row("`python -c pass`", took["python"])
    yield Row("a bare Typer program's `--version`", took["bare"])
    ratio = took["version"] / took["bare"]
    yield Row("`phoenix --version`", took["version"], f"{times(ratio)} that", ratio, goal=1.2)
    yield Row("`phoenix --help`", took["help"], f"{times(took['help'] / took['bare'])} that")
