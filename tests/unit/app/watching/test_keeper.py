"""Measurements outlast a file that can't be written."""

import asyncio
from pathlib import Path

import pytest

from phoenix_hypervisor.app.watching.keeper import Keeper
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.watching import Answer, Happening
from phoenix_hypervisor.watch.store import Reader
from phoenix_hypervisor.watch.time_line import State, Stretch, Totals

WEB = Address("lxc/101")


def fill(keeper: Keeper, at: float) -> None:
    keeper.answer(Answer(WEB, "pages", "http", at, "up", latency_ms=2.0))
    keeper.stretches((WEB, ""), [Stretch(at, at + 5, State.UP)])
    keeper.happened(Happening(at, "up", WEB, "again"))


async def test_what_comes_is_written_and_read_by_others(tmp_path: Path) -> None:
    told: list[str] = []
    keeper = Keeper(tmp_path, told.append)
    fill(keeper, 1000.0)
    fill(keeper, 1005.0)
    await keeper.write()
    await keeper.close()
    reader = Reader.open(tmp_path)
    assert reader is not None
    assert [(one.guest, one.check, one.at) for one in reader.latest()] == [(WEB, "pages", 1005.0)]
    assert reader.totals(WEB, 960, 1080) == Totals(up_s=10.0)
    assert told == []


async def test_nothing_is_begun_where_nothing_came(tmp_path: Path) -> None:
    await Keeper(tmp_path, print).close()
    assert list(tmp_path.iterdir()) == []


async def test_while_the_file_cant_be_written_all_is_kept_and_written_later(tmp_path: Path) -> None:
    told: list[str] = []
    blocked = tmp_path / ".phoenix" / "watch.sqlite3"
    blocked.mkdir(parents=True)
    keeper = Keeper(tmp_path, told.append)
    fill(keeper, 1000.0)
    await keeper.write()
    assert len(told) == 1
    assert "can't be written, and are kept in memory" in told[0]
    assert keeper.trouble
    fill(keeper, 1005.0)
    await keeper.write()  # too soon for another try
    blocked.rmdir()
    await keeper.close()
    assert told[1:] == ["measurements are written again"]
    reader = Reader.open(tmp_path)
    assert reader is not None
    assert reader.totals(WEB, 960, 1080) == Totals(up_s=10.0)
    assert [one.at for one in reader.happenings()] == [1005.0, 1000.0]
    assert len(reader.plot(WEB, "pages", 960, 1080)) == 2


async def test_texts_that_no_file_takes_and_bugs_do_not_end_the_writing(tmp_path: Path) -> None:
    told: list[str] = []
    keeper = Keeper(tmp_path, told.append)
    keeper.happened(Happening(999.0, "down", WEB, "it said \udce9"))
    fill(keeper, 1000.0)
    await keeper.write()
    for at in (1005.0, 1010.0):  # as a check that is broken would
        keeper.answer(Answer(WEB, "\ud800", "http", at, "up"))
        await keeper.write()
    assert len(told) == 1
    assert "some measurements are lost, by an unexpected UnicodeEncodeError" in told[0]
    fill(keeper, 1015.0)
    await keeper.close()
    reader = Reader.open(tmp_path)
    assert reader is not None
    assert [one.text for one in reader.happenings()] == ["again", "again", "it said ?"]
    assert not keeper.trouble


async def test_of_too_much_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phoenix_hypervisor.app.watching.keeper._WAITING", 3)
    blocked = tmp_path / ".phoenix" / "watch.sqlite3"
    blocked.mkdir(parents=True)
    keeper = Keeper(tmp_path, lambda _: None)
    for at in (1000.0, 1001.0, 1002.0):
        fill(keeper, at)
    writing = asyncio.create_task(keeper.write())
    await asyncio.sleep(0)
    fill(keeper, 1003.0)
    await writing
    blocked.rmdir()
    await keeper.close()
    reader = Reader.open(tmp_path)
    assert reader is not None
    assert [one.at for one in reader.happenings()] == [1003.0, 1002.0, 1001.0]
    assert [point.at for point in reader.plot(WEB, "pages", 960, 1080)] == [1001.0, 1002.0, 1003.0]


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, print)
    fill(keeper, 1000.0)
    await keeper.write()
    file = tmp_path / ".phoenix" / "watch.sqlite3"
    file.rename(tmp_path / "kept.sqlite3")
    fill(keeper, 1005.0)
    await keeper.write()
    await keeper.close()
    reader = Reader.open(tmp_path)
    assert reader is not None
    assert [one.at for one in reader.happenings()] == [1005.0]


async def test_checks_that_are_gone_are_shown_no_longer(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, print)
    fill(keeper, 1000.0)
    keeper.answer(Answer(WEB, "old", "http", 1000.0, "up"))
    await keeper.write()
    keeper.watches([(WEB, "pages")])
    fill(keeper, 1005.0)
    await keeper.close()
    reader = Reader.open(tmp_path)
    assert reader is not None
    assert [one.check for one in reader.latest()] == ["pages"]
