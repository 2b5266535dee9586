"""The generators: marks in pages, groups of commands, and documents without what changes."""

from pathlib import Path
from typing import Any

import pytest
import typer
from docs.generate.blocks import filled
from docs.generate.commands import every, options
from docs.generate.errors import errors
from docs.generate.old import old_words
from docs.generate.shapes import shapes

from phoenix_hypervisor import app
from phoenix_hypervisor.config.schema import schemas

ROOT = Path(__file__).parents[3]
PAGE = Path("docs/how-to/some.md")


@pytest.fixture(scope="module")
def all_schemas() -> dict[str, dict[str, Any]]:
    return schemas(app.vocabulary())


def test_a_file_stands_between_its_marks_as_it_is(all_schemas: Any) -> None:
    name = "examples/quickstart/phoenix_hypervisor_config.json"
    page = f"before\n<!-- made: file {name} -->\nold\n<!-- end -->\nafter\n"
    told = filled(page, PAGE, ROOT, all_schemas)
    assert told is not None
    assert f"```json\n{(ROOT / name).read_text()}```\n" in told
    assert f"](../../{name})" in told
    assert "old" not in told
    assert told.startswith("before\n")
    assert told.endswith("<!-- end -->\nafter\n")
    assert filled(told, PAGE, ROOT, all_schemas) == told


def test_options_come_with_the_models_that_they_use(all_schemas: Any) -> None:
    page = "<!-- made: options postgresql -->\n<!-- end -->\n"
    told = filled(page, PAGE, ROOT, all_schemas) or ""
    assert "| `roles` | list of [Role](#role) |" in told
    assert "### Role\n" in told
    assert "| `repository` | `distribution`, `pgdg` |" in told


def test_a_page_without_marks_is_left_alone(all_schemas: Any) -> None:
    assert filled("    <!-- made: file x -->\n", PAGE, ROOT, all_schemas) is None


@pytest.mark.parametrize(
    ("mark", "error"), [("nothing of-it", ValueError), ("options nginy", KeyError)]
)
def test_a_mark_that_says_nothing_known_fails(mark: str, error: Any, all_schemas: Any) -> None:
    with pytest.raises(error):
        filled(f"<!-- made: {mark} -->\n<!-- end -->", PAGE, ROOT, all_schemas)


def test_a_group_comes_before_its_own_commands() -> None:
    below, above = typer.Typer(), typer.Typer()

    @below.command("set")
    def set_(
        name: str,
        force: bool = typer.Option(False, help="Even | so."),
        wait: float = typer.Option(1.0, metavar="HOURS"),
        pause: float = 1.0,
    ) -> None:
        """Sets it."""

    @below.command("get", hidden=True)
    def get() -> None:
        """Nobody sees it."""

    above.add_typer(below, name="secrets", help="Keeps them.")
    above.command("plan")(lambda: None)
    found = dict(every(typer.main.get_command(above)))
    assert list(found) == [("plan",), ("secrets",), ("secrets", "set")]
    table = options(found["secrets", "set"])
    assert "| `NAME` |  |  |" in table
    assert "Even \\| so. |" in table
    assert "`--wait HOURS`" in table
    assert "`--pause SECONDS`" in table


def test_documents_are_the_same_at_every_run() -> None:
    told = shapes(ROOT)
    assert shapes(ROOT) == told
    assert "| `changes[].fields[].path` | text |" in told
    assert "/tmp" not in told


def test_messages_are_told_once_and_literally() -> None:
    told = errors(ROOT)
    assert "| `Locked` | `Retryable` |" in told
    assert "| error | `Cores` is not a known word here | did you mean `cores`? |" in told
    rows = [line for line in told.splitlines() if line.startswith(("| error", "| warning"))]
    assert len(rows) > 100
    assert len(rows) == len(set(rows))


def test_old_words_name_those_of_today() -> None:
    assert "| `health_check` | a container | `checks` |" in old_words()
