"""The lessons of the tutorial with real containers, in a corner of their own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import lab
from tests.support.lesson import blocks, perform
from tests.unit.docs.test_tutorial import LESSONS, TUTORIAL

pytestmark = [
    pytest.mark.long,
    pytest.mark.incus,
    pytest.mark.usefixtures("incus_daemon"),
]


@pytest.fixture
def corner() -> Iterator[lab.Lab]:
    made = lab.Lab("t")
    try:
        yield made
    finally:
        lab.clear(made.name)


def test_the_lessons_do_what_they_say(tmp_path: Path, corner: lab.Lab) -> None:
    folder = tmp_path / "first"
    environ = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "PHOENIX_ON": "incus",
        "PYTHONUNBUFFERED": "1",
    }
    for lesson in LESSONS:
        for block in blocks(TUTORIAL / lesson):
            said = perform(block, folder if folder.exists() else tmp_path, environ, limit_s=400)
            sys.stdout.write(f"$ {block.script}{said}")
            if "phoenix init" in block.script:
                _move(folder, corner)


def _move(folder: Path, corner: lab.Lab) -> None:
    """Puts the new folder's project, pool, bridge and subnet into the corner."""
    file = folder / "phoenix_hypervisor_config.json"
    text = file.read_text()
    stack = '"stack": "first",'
    assert stack in text
    file.write_text(text.replace(stack, f'{stack} "project": "{corner.name}",'))
    for name in ("phoenix_hypervisor_config.json", "phoenix_lxc_configs.json"):
        path = folder / name
        text = path.read_text()
        for word in {*_made(text)}:
            text = text.replace(word, corner.name)
        path.write_text(text)


def _made(text: str) -> Iterator[str]:
    """The names that `init` made of the folder's path."""
    for quoted in text.split('"'):
        if quoted.startswith(("phoenix-", "phx")) and "." not in quoted:
            yield quoted
