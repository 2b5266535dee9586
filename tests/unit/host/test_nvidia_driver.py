"""NVIDIA's driver on the host: decided from what a node says, exchanged by the real scripts.

There is no card here: installer, kernel and nvidia-smi are doubles that keep state.
"""

import asyncio
import hashlib
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.host.rooted_node import RootedNode

from phoenix_hypervisor.host._nvidia import BEFORE
from phoenix_hypervisor.host.nvidia_driver import ADDRESS, PART
from phoenix_hypervisor.host.part import Choice, Decided
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.cards import Cards, HostDriver, KeptCard

OLD, NEW = "570.86.15", "580.76.05"
NOTE = BEFORE.lstrip("/")
URL = "https://mirror.example.com/NVIDIA-Linux-x86_64-{version}.run"
TWO = (KeptCard(0, "RTX 5060 Ti"), KeptCard(1, "RTX 5060 Ti"))
NAMES = "NVIDIA GeForce RTX 5060 Ti\nNVIDIA GeForce RTX 5060 Ti\n"


@pytest.fixture
def node(tmp_path: Path) -> RootedNode:
    made = RootedNode(tmp_path)
    made.card("0000:01:00.0", "10de:2d04", "030000")
    made.put("state/cards", NAMES)
    for version in (OLD, NEW):
        made.offer(version)
    return made


def _desired(version: str = NEW, cards: tuple[KeptCard, ...] = TWO, **words: str) -> Desired:
    driver = HostDriver(version, URL, words.get("checksum"))
    setup = HostSetup(cards=Cards(driver=driver, kept=cards))
    return Desired(folder=Path("/nowhere"), stack="s", host=replace(Host(), setup=setup))


def _decided(node: RootedNode, desired: Desired) -> Decided:
    return PART.decide(desired, asyncio.run(PART.look(node, desired)), Choice())


def _apply(node: RootedNode, desired: Desired) -> None:
    for task in _decided(node, desired).tasks:
        asyncio.run(PART.make(node, task, desired, lambda _: None))


def _live(node: RootedNode) -> str:
    return node.get_text("proc/driver/nvidia/version")


@pytest.fixture
def old(node: RootedNode) -> RootedNode:
    """A node that runs the old version, which Phoenix installed."""
    _apply(node, _desired(OLD))
    assert OLD in _live(node)
    return node


def test_it_is_installed_once_and_there_at_boot(node: RootedNode) -> None:
    (task,) = _decided(node, _desired()).tasks
    assert (task.address, task.action, task.impact) == (ADDRESS, Action.CREATE, Impact.LIVE)
    assert [one.path for one in task.fields][:2] == ["installed", "running"]
    _apply(node, _desired())
    assert NEW in _live(node)
    (given,) = node.get_text("state/given").splitlines()
    assert given.split()[:2] == [NEW, "--silent"]
    assert {"--dkms", "--skip-module-load", "--no-rebuild-initramfs"} <= {*given.split()}
    assert "blacklist nouveau" in node.get_text("etc/modprobe.d/phoenix-nvidia.conf")
    assert "nvidia_uvm" in node.get_text("etc/modules-load.d/phoenix-nvidia.conf")
    unit = node.get_text("etc/systemd/system/phoenix-nvidia.service")
    assert "ExecStart=/usr/bin/nvidia-modprobe -u -c=0 -c=1\n" in unit
    assert "Before=pve-guests.service" in unit
    assert node.get_text("state/boot") == "initramfs -u -k all\n"
    assert _decided(node, _desired()) == Decided()
    asyncio.run(PART.make(node, task, _desired(), lambda _: None))
    assert node.get_text("state/given").count("\n") == 1


def test_without_words_or_a_card_it_is_left_alone(node: RootedNode, tmp_path: Path) -> None:
    nothing = Desired(folder=Path("/nowhere"), stack="s")
    assert _decided(node, nothing) == Decided()
    assert node.asked == []
    bare = RootedNode(tmp_path / "bare")
    assert _decided(bare, _desired()).notes == (
        "the node has no graphics card of NVIDIA's: its driver is left out",
    )


def test_an_upgrade_says_what_it_costs_and_its_way_back(old: RootedNode) -> None:
    decided = _decided(old, _desired())
    (task,) = decided.tasks
    assert (task.action, task.impact) == (Action.UPDATE, Impact.RESTART)
    assert [(one.path, one.before, one.after) for one in task.fields] == [
        ("installed", OLD, NEW),
        ("running", OLD, NEW),
    ]
    assert f"the installer of {OLD} is kept on the node" in decided.notes[0]
    _apply(old, _desired())
    assert NEW in _live(old)
    assert _decided(old, _desired()) == Decided()
    kept = {path.name for path in (old.root / "var/lib/phoenix/nvidia").glob("*.run")}
    assert kept == {f"{OLD}.run", f"{NEW}.run"}
    assert old.get_text(NOTE) == ""


def test_the_way_back_is_fetched_before_a_driver_made_by_hand_goes(old: RootedNode) -> None:
    (old.root / f"var/lib/phoenix/nvidia/{OLD}.run").unlink()
    assert "is fetched before" in _decided(old, _desired()).notes[0]
    (old.root / f"state/web/NVIDIA-Linux-x86_64-{OLD}.run").unlink()
    with pytest.raises(ConfigureFailed, match=f"the installer of NVIDIA's driver {OLD}"):
        _apply(old, _desired())
    assert OLD in _live(old)


@pytest.mark.parametrize("fault", ["unbuildable", "blind"])
def test_one_that_does_not_serve_is_taken_back(old: RootedNode, fault: str) -> None:
    old.put(f"state/{fault}", f"{NEW}\n")
    with pytest.raises(ConfigureFailed, match=f"{OLD} is back and serves") as caught:
        _apply(old, _desired())
    words = "make failed" if fault == "unbuildable" else "No devices were found"
    assert words in caught.value.detail
    assert OLD in _live(old)
    assert _decided(old, _desired(OLD)) == Decided()


def test_where_neither_serves_it_is_told(old: RootedNode) -> None:
    old.put("state/unbuildable", f"{NEW}\n{OLD}\n")
    with pytest.raises(ConfigureFailed) as caught:
        _apply(old, _desired())
    assert "did not come back" in caught.value.detail
    assert "can't run until" in caught.value.hint


def test_a_card_less_than_the_files_name_is_taken_back(old: RootedNode) -> None:
    three = (*TWO, KeptCard(2, "RTX 4090"))
    with pytest.raises(ConfigureFailed) as caught:
        _apply(old, _desired(NEW, three))
    assert "nvidia-smi names 2 cards, not 3" in caught.value.detail


def test_cards_are_told_one_by_one(old: RootedNode) -> None:
    old.put("state/cards", "NVIDIA GeForce RTX 5060 Ti\nNVIDIA GeForce RTX 4090\n")
    (task,) = _decided(old, _desired(OLD)).tasks
    assert [one.path for one in task.fields] == ["cards"]
    with pytest.raises(ConfigureFailed) as caught:
        _apply(old, _desired(OLD))
    assert "fewer than 2 of RTX 5060 Ti" in caught.value.detail


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def _interrupt(node: RootedNode, desired: Desired) -> None:
    """An apply that is cancelled while the installer is at work, and leaves that behind."""
    node.put("state/slow", "")
    (task,) = _decided(node, desired).tasks

    async def work() -> None:
        running = asyncio.create_task(PART.make(node, task, desired, lambda _: None))
        await asyncio.to_thread(_wait_for, node.root / "state/exchanging")
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(work())


def test_an_exchange_outlives_its_run_and_the_next_one_follows_it(old: RootedNode) -> None:
    _interrupt(old, _desired())
    decided = _decided(old, _desired())
    (task,) = decided.tasks
    assert "is at work on the node: it is waited for" in task.reason
    assert task.impact is Impact.RESTART
    assert task.fields[-1].before == f"an exchange for {NEW}"
    assert f"the way back: the installer of {OLD}" in decided.notes[0]
    (old.root / "state/slow").unlink()
    asyncio.run(PART.make(old, task, _desired(), lambda _: None))
    assert NEW in _live(old)
    assert old.get_text("state/given").count(f"{NEW} --silent") == 1
    assert _decided(old, _desired()) == Decided()


def test_one_that_is_followed_and_taken_back_is_told(old: RootedNode) -> None:
    old.put("state/blind", f"{NEW}\n")
    _interrupt(old, _desired())
    (task,) = _decided(old, _desired()).tasks
    (old.root / "state/slow").unlink()
    with pytest.raises(ConfigureFailed, match=f"{OLD} is back and serves"):
        asyncio.run(PART.make(old, task, _desired(), lambda _: None))


def test_one_for_another_version_is_waited_for_and_then_exchanged(old: RootedNode) -> None:
    _interrupt(old, _desired())
    (task,) = _decided(old, _desired(OLD)).tasks
    (old.root / "state/slow").unlink()
    asyncio.run(PART.make(old, task, _desired(OLD), lambda _: None))
    assert OLD in _live(old)
    assert _decided(old, _desired(OLD)) == Decided()


@pytest.mark.parametrize("wanted", [NEW, OLD])
def test_after_a_node_that_broke_off_it_goes_on_or_back(old: RootedNode, wanted: str) -> None:
    """As when the power fails while the installer is at work."""
    old.put(NOTE, f"{OLD}\n")
    for path in ("state/module", "state/library", "proc/driver/nvidia/version"):
        (old.root / path).unlink()
    for library in (old.root / "usr/lib/x86_64-linux-gnu").iterdir():
        library.unlink()
    old.put("proc/modules", "zfs 1 0 - Live\n")
    decided = _decided(old, _desired(wanted))
    (task,) = decided.tasks
    assert task.reason == f"an exchange of {OLD} was broken off: nothing is there"
    assert _decided(old, _desired(wanted, ())).tasks[0].reason == task.reason
    assert f"the way back: the installer of {OLD} is kept" in decided.notes[0]
    if wanted == NEW:
        old.put("state/unbuildable", f"{NEW}\n")
        with pytest.raises(ConfigureFailed, match=f"{OLD} is back and serves"):
            _apply(old, _desired())
        assert OLD in _live(old)
        (old.root / "state/unbuildable").unlink()
    _apply(old, _desired(wanted))
    assert wanted in _live(old)
    assert old.get_text(NOTE) == ""
    assert _decided(old, _desired(wanted)) == Decided()


def _break_off(node: RootedNode) -> None:
    """As when the node breaks off right after the new one's installer has ended."""
    node.put(NOTE, f"{OLD}\n")
    node.put("state/module", f"{NEW}\n")
    node.put("state/library", f"{NEW}\n")
    lib = node.root / "usr/lib/x86_64-linux-gnu"
    for library in lib.iterdir():
        library.unlink()
    (lib / f"libcuda.so.{NEW}").touch()
    (lib / "libcuda.so.1").symlink_to(f"libcuda.so.{NEW}")


def _restart(node: RootedNode) -> None:
    (node.root / "proc/driver/nvidia/version").unlink()
    node.put("proc/modules", "zfs 1 0 - Live\n")


@pytest.mark.parametrize("loaded", [False, True])
def test_one_that_broke_off_once_installed_still_has_its_way_back(
    old: RootedNode, *, loaded: bool
) -> None:
    _break_off(old)
    _restart(old)
    old.put("state/blind", f"{NEW}\n")
    if loaded:  # it is at boot, and serves no card
        (old.root / "proc/driver/nvidia/version").write_text(
            f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {NEW}  Release\n"
        )
        old.put("proc/modules", "nvidia 1 0 - Live\nnvidia_uvm 1 0 - Live\n")
    decided = _decided(old, _desired())
    (task,) = decided.tasks
    assert task.reason == f"an exchange of {OLD} was broken off: {NEW} is there"
    assert task.impact is (Impact.RESTART if loaded else Impact.LIVE)
    assert f"the way back: the installer of {OLD} is kept" in decided.notes[0]
    with pytest.raises(ConfigureFailed, match=f"{OLD} is back and serves"):
        _apply(old, _desired())
    assert OLD in _live(old)
    assert old.get_text(NOTE) == ""
    assert _decided(old, _desired(OLD)) == Decided()


def test_one_that_broke_off_and_serves_all_the_same_is_the_next_way_back(old: RootedNode) -> None:
    _break_off(old)
    _restart(old)
    old.put("proc/modules", "nvidia 1 0 - Live\nnvidia_uvm 1 0 - Live\n")
    old.put(
        "proc/driver/nvidia/version",
        f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {NEW}  Release\n",
    )
    assert _decided(old, _desired()) == Decided()
    newest = "590.10.01"
    old.offer(newest)
    assert f"the installer of {NEW} is fetched" in _decided(old, _desired(newest)).notes[0]
    old.put("state/blind", f"{newest}\n")
    with pytest.raises(ConfigureFailed, match=f"{NEW} is back and serves"):
        _apply(old, _desired(newest))


def test_an_exchange_that_ends_without_a_word_is_told(old: RootedNode) -> None:
    old.program("systemd-run", "true")
    with pytest.raises(ConfigureFailed, match="was broken off on the node"):
        _apply(old, _desired())


def test_one_in_use_is_left_as_it_is(old: RootedNode) -> None:
    old.put("state/busy", "1\n")
    old.put("proc/1/cmdline", "/usr/bin/foreign\0--serve\0")
    with pytest.raises(ConfigureFailed) as caught:
        _apply(old, _desired())
    assert "nothing was changed" in caught.value.detail
    assert "1 /usr/bin/foreign --serve" in caught.value.detail
    assert OLD in _live(old)
    assert old.get_text("state/given").count("\n") == 1
    assert old.get_text(NOTE) == ""


def test_one_in_use_after_one_that_broke_off_keeps_the_way_back(old: RootedNode) -> None:
    _break_off(old)
    old.put("state/busy", "1\n")
    old.put("proc/1/cmdline", "/usr/bin/foreign\0")
    with pytest.raises(ConfigureFailed) as caught:
        _apply(old, _desired())
    assert "nothing was changed" in caught.value.detail
    assert old.get_text(NOTE) == f"{OLD}\n"


def test_another_installer_than_the_named_one_is_thrown_away(node: RootedNode) -> None:
    wrong = f"sha256:{'0' * 64}"
    with pytest.raises(ConfigureFailed) as caught:
        _apply(node, _desired(checksum=wrong))
    assert "not the SHA-256" in caught.value.detail
    assert not list((node.root / "var/lib/phoenix/nvidia").iterdir())
    digest = hashlib.sha256(node.offer(NEW).encode()).hexdigest()
    _apply(node, _desired(checksum=f"sha256:{digest}"))
    assert NEW in _live(node)


def test_nouveau_needs_a_restart_and_all_is_prepared(node: RootedNode) -> None:
    node.put("proc/modules", "nouveau 1 0 - Live\n")
    (task,) = _decided(node, _desired()).tasks
    assert "nouveau holds the cards" in task.restarts
    _apply(node, _desired())
    assert _live(node) == ""
    waiting = _decided(node, _desired())
    assert waiting.tasks == ()
    assert "nouveau holds the cards" in waiting.restarts[0]
    node.put("proc/modules", "")
    (task,) = _decided(node, _desired()).tasks
    assert [one.path for one in task.fields] == ["running"]
    _apply(node, _desired())
    assert NEW in _live(node)
    assert _decided(node, _desired()) == Decided()


def test_drift_by_hand_is_seen_and_mended(old: RootedNode) -> None:
    old.put("etc/modules-load.d/phoenix-nvidia.conf", "")
    (old.root / "state/enabled").unlink()
    (task,) = _decided(old, _desired(OLD)).tasks
    assert task.impact is Impact.LIVE
    assert [one.path for one in task.fields] == [
        "/etc/modules-load.d/phoenix-nvidia.conf",
        "phoenix-nvidia.service",
    ]
    _apply(old, _desired(OLD))
    assert _decided(old, _desired(OLD)) == Decided()


def test_packages_are_not_overwritten(old: RootedNode) -> None:
    old.put("state/packaged", "libcuda1:amd64: /usr/lib/x86_64-linux-gnu/libcuda.so.1\n")
    (refusal,) = _decided(old, _desired()).refusals
    assert "comes from the package libcuda1" in refusal
