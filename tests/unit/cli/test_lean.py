"""What a command does not need is not imported, and what it prints is not laid out for nothing."""

import subprocess
import sys
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.errors import MarkupError
from rich.markup import render

from phoenix_hypervisor.cli._text import unmarked
from phoenix_hypervisor.cli.main import application

PIECES = st.sampled_from(["[", "]", "\\", "a", "/", "[b]", "[/]", "[/b]", "[dim]", " ", "\n", "1"])


def imported(*words: str) -> set[str]:
    """The modules that a command line has imported when it ends."""
    program = (
        "import sys\nfrom phoenix_hypervisor.cli.main import run\n"
        "try:\n    run(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n' + '\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines())


def test_the_version_costs_no_command_and_none_of_their_libraries() -> None:
    found = imported("--version")
    assert "phoenix 0" in " ".join(found)
    ours = {name for name in found if name.startswith("phoenix_hypervisor.cli.")}
    assert {name.rpartition(".")[2] for name in ours} <= {"main", "_commands", "_context"}
    heavy = {"pydantic", "rich", "aiohttp", "asyncio", "logging", "phoenix_hypervisor.app"}
    assert not found & heavy


def test_the_help_of_one_command_imports_no_other() -> None:
    found = imported("plan", "--help")
    assert "phoenix_hypervisor.cli.plan" in found
    assert "phoenix_hypervisor.cli.apply" not in found
    assert not found & {"aiohttp", "pyinfra", "phoenix_hypervisor.app"}


def test_all_commands_are_there_in_the_order_of_their_use() -> None:
    group: Any = typer.main.get_command(application())
    names = list(group.commands)
    assert names[:4] == ["init", "validate", "plan", "apply"]
    assert "exec" in names
    assert "exec_" not in names
    assert "main" not in names
    assert [group.commands[name].name for name in names] == names
    with pytest.raises(KeyError):
        group.commands["nonsense"]


@given(st.lists(PIECES, max_size=15).map("".join))
def test_without_colours_a_text_is_as_rich_shows_it(text: str) -> None:
    try:
        shown = render(text, emoji=False).plain
    except MarkupError:
        return
    assert unmarked(text) == shown
