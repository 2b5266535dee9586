"""The lessons of the tutorial, block by block, on the simulated node."""

import sys
from pathlib import Path

import pytest
from tests.support.lesson import Block, blocks, perform

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial"
LESSONS = ("first-stack.md", "first-change.md", "break-and-mend.md")


def test_the_lessons_do_what_they_say(tmp_path: Path) -> None:
    environ = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PHOENIX_ON": "sim",
        "PHOENIX_SIM_STATE": str(tmp_path / "node.json"),
    }
    done = 0
    for lesson in LESSONS:
        for block in blocks(TUTORIAL / lesson):
            if "sim" in block.on:
                folder = tmp_path / "first"
                perform(block, folder if folder.exists() else tmp_path, environ, limit_s=60)
                done += 1
    assert done > len(LESSONS)


def test_every_lesson_is_run() -> None:
    assert {path.name for path in TUTORIAL.glob("*.md")} == {*LESSONS, "index.md"}


@pytest.mark.parametrize(
    ("status", "lines"), [(1, ("said",)), (0, ("unsaid",)), (0, ("more", "said"))]
)
def test_a_block_that_does_otherwise_fails(
    tmp_path: Path, status: int, lines: tuple[str, ...]
) -> None:
    block = Block("echo said; echo more\n", frozenset({"sim"}), status, lines)
    with pytest.raises(AssertionError):
        perform(block, tmp_path, {}, limit_s=10)
    perform(Block(block.script, block.on, 0, ("sa…", "more")), tmp_path, {}, limit_s=10)
