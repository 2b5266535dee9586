"""Changed files are taken once they can be, and a broken one is told of once."""

import asyncio
import threading
from pathlib import Path

import pytest

from phoenix_hypervisor.app import read
from phoenix_hypervisor.app.watching import files
from phoenix_hypervisor.config.folder import HYPERVISOR, LXC
from phoenix_hypervisor.config.secrets import Secrets

EMPTY = '{"lxc_configs": {}}'


async def test_a_changed_secret_ends_the_waiting_and_a_broken_file_of_them_does_not(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    (tmp_path / LXC).write_text(EMPTY)
    (tmp_path / HYPERVISOR).write_text(
        '{"watch": {"alerts": {"targets": {"ops": {"url": {"secret": "OPS"}}}}}}'
    )
    Secrets(tmp_path, {}).add("OPS", "json://one")
    before = files.look(tmp_path)
    waiting = asyncio.create_task(
        files.changed(tmp_path, before, lambda: read(tmp_path, "sim", {}), told.append)
    )
    broken = tmp_path / ".phoenix-secrets.env"
    broken.write_text("no secret at all")
    async with asyncio.timeout(20):
        while not told:
            assert not waiting.done()
            await asyncio.sleep(0.05)
    assert "line 1, is not NAME=VALUE" in told[0]
    assert told[0].endswith("they are watched as they were before")
    broken.write_text("")
    Secrets(tmp_path, {}).add("OPS", "json://two")
    async with asyncio.timeout(20):
        await waiting


def test_the_encrypted_file_counts_as_well(tmp_path: Path) -> None:
    before = files.look(tmp_path)
    (tmp_path / "secrets.json.age").write_bytes(b"sealed")
    assert files.look(tmp_path) != before


async def test_only_files_that_can_be_read_end_the_waiting(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / LXC).write_text(EMPTY)
    before = files.look(tmp_path)
    waiting = asyncio.create_task(
        files.changed(tmp_path, before, lambda: read(tmp_path, "sim", {}), told.append)
    )
    (tmp_path / LXC).write_text('{"lxc_configs": {"101": {"nmae": "x"}}}')
    async with asyncio.timeout(20):
        while not told:
            assert not waiting.done()
            await asyncio.sleep(0.05)
    assert "they are watched as they were before" in told[0]
    assert f"{LXC}:1: " in told[0]
    await asyncio.sleep(files._EVERY_S + 0.5)
    assert len(told) == 1
    (tmp_path / LXC).write_text(EMPTY + "\n")
    async with asyncio.timeout(20):
        await waiting


async def test_a_disk_that_hangs_has_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_EVERY_S", 0.02)
    monkeypatch.setattr(files, "_LOOK_S", 0.02)
    (tmp_path / LXC).write_text(EMPTY)
    hangs, look = threading.Event(), files.look

    def slow(folder: Path) -> files.Look:
        hangs.wait(30)
        return look(folder)

    before = files.look(tmp_path)
    monkeypatch.setattr(files, "look", slow)
    told: list[str] = []
    waiting = asyncio.create_task(
        files.changed(tmp_path, before, lambda: read(tmp_path, "sim", {}), told.append)
    )
    (tmp_path / LXC).write_text(EMPTY + "\n")
    await asyncio.sleep(0.2)  # the loop goes on
    assert not waiting.done()
    hangs.set()
    async with asyncio.timeout(20):
        await waiting
    assert told == []


def test_a_new_file_a_removed_one_and_a_touched_one_all_count(tmp_path: Path) -> None:
    looks = [files.look(tmp_path)]
    path = tmp_path / LXC
    path.write_text(EMPTY)
    looks.append(files.look(tmp_path))
    path.replace(tmp_path / "kept")
    path.write_text(EMPTY)
    looks.append(files.look(tmp_path))
    assert len(set(looks)) == 3
    path.unlink()
    assert files.look(tmp_path) == looks[0]
