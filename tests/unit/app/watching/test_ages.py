"""How long ago guests were asked is told while somebody watches."""

import time
from pathlib import Path

import pytest

from phoenix_hypervisor.app.watching import only_one
from phoenix_hypervisor.app.watching.ages import ages
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.watching import Answer
from phoenix_hypervisor.watch import database
from phoenix_hypervisor.watch.store import Store

WEB = lxc(101)


def test_the_newest_answer_of_a_guest_counts(tmp_path: Path) -> None:
    now = time.time()
    store = Store.create(tmp_path)
    store.write([Answer(WEB, f"c{n}", "tcp", now - n, "up") for n in (90, 30, 60)], [])
    assert ages(tmp_path) is None  # nobody watches
    with only_one.hold(tmp_path, "sim"):
        found = ages(tmp_path)
    assert found is not None
    assert dict(found) == pytest.approx({WEB: 30}, abs=5)


def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    with only_one.hold(tmp_path, "sim"):
        assert ages(tmp_path) == {}
        database.path(tmp_path).write_bytes(b"no database" * 100)
        assert ages(tmp_path) == {}
