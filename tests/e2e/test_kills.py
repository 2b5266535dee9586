"""A few applies on the simulated node, broken off at random moments; `tests/long` has many more."""

from pathlib import Path

from tests.kills.__main__ import play
from tests.kills.sim import SimWorld


def test_what_was_broken_off_is_mended_and_told(tmp_path: Path) -> None:
    assert play(SimWorld(tmp_path, "kills-quick"), 7, seed=3) == []
