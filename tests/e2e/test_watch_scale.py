"""Thousands of checks on one small machine."""

from pathlib import Path

import pytest
from tests.bench import watching


@pytest.mark.long
def test_two_thousand_checks_every_five_seconds_take_little_and_come_in_time(
    tmp_path: Path,
) -> None:
    seconds = 20.0
    found = watching.measure(tmp_path / "folder", seconds)
    asked = watching.GUESTS * watching.CHECKS
    assert found.up == asked
    assert found.answered >= 0.95 * asked * seconds / 5
    assert found.cpu < watching.CPU, found
    assert found.memory_mb < watching.MEMORY_MB, found
    assert found.late_s < watching.LATE_S, found
