"""Each kind of fault once on running stacks: all recover by themselves, and replicas lose nothing.

The same for half an hour, with its goals as they are: `make chaos`.
"""

from pathlib import Path

import pytest
from tests.chaos.__main__ import LETTERS, told
from tests.chaos.faults import HIT
from tests.chaos.play import Wishes, play

pytestmark = [pytest.mark.incus, pytest.mark.long, pytest.mark.usefixtures("incus_daemon")]

SLACK = 3.0
"""Other tests run beside this one, on few cores; one fault of a kind is no median either."""


def test_each_kind_of_fault_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    run = play(tmp_path, LETTERS, Wishes(len(HIT), every_s=10, seed=1, slack=SLACK), lines.append)
    with capsys.disabled():  # the table is for people
        missed = told(run)
    assert missed == [], "\n".join(lines)
    assert {one.kind for one in run.outcomes} == set(HIT)
