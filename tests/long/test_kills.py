"""Applies that are broken off at random moments: the next one mends it, and says what it found.

A few of them; more by hand: `python -m tests.kills --on incus --kills 10 --seed 7`.
"""

from pathlib import Path

import pytest
from tests.kills.__main__ import play
from tests.kills.incus import IncusWorld
from tests.kills.sim import SimWorld

pytestmark = pytest.mark.long

SEED = 7


def test_on_sim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():  # the table is for people
        assert play(SimWorld(tmp_path, "kills-long"), 20, SEED) == []


@pytest.mark.incus
@pytest.mark.usefixtures("incus_daemon")
def test_on_incus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The path of the relay's socket has to be short.
    with IncusWorld(tmp_path) as world, capsys.disabled():
        assert play(world, 5, SEED) == []
