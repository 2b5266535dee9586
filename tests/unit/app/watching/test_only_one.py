"""One watcher for a folder, and who it is."""

import fcntl
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.plan.worlds import desired

from phoenix_hypervisor.app.watching import only_one
from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.model.errors import PhoenixError


def test_the_second_is_told_who_watches_and_nobody_is_left_behind(tmp_path: Path) -> None:
    assert only_one.holder(tmp_path) is None
    with only_one.hold(tmp_path, "incus"):
        found = only_one.holder(tmp_path)
        assert found is not None
        assert (found.pid, found.target) == (os.getpid(), "incus")
        told = rf"is watched already, on incus: by .+ on .+ \(pid {os.getpid()}\) since \d{{4}}-"
        with pytest.raises(PhoenixError, match=told), only_one.hold(tmp_path, "incus"):
            pass
        assert only_one.holder(tmp_path) == found
    assert only_one.holder(tmp_path) is None
    with only_one.hold(tmp_path, "sim"):
        pass


def test_one_who_only_looks_keeps_nobody_from_watching(tmp_path: Path) -> None:
    with only_one.hold(tmp_path, "sim"):
        pass
    fd = os.open(tmp_path / ".phoenix" / "watch.lock", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    ends = threading.Timer(0.1, os.close, [fd])
    ends.start()
    with only_one.hold(tmp_path, "sim"):
        assert only_one.holder(tmp_path) is not None
    ends.join()


def test_a_full_disk_keeps_nobody_from_watching(tmp_path: Path) -> None:
    script = f"""
mount -t tmpfs -o size=64k tmpfs {tmp_path} && mkdir {tmp_path}/.phoenix || exit 1
: >{tmp_path}/.phoenix/watch.lock
dd if=/dev/zero of={tmp_path}/filled bs=4k 2>/dev/null
exec {sys.executable} -c "$1"
"""
    code = f"""
from pathlib import Path
from phoenix_hypervisor.app.watching import only_one
with only_one.hold(Path({str(tmp_path)!r}), "sim"):
    print(only_one.holder(Path({str(tmp_path)!r})).who)
"""
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "-", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "somebody\n", "")


def test_what_a_killed_one_left_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / ".phoenix").mkdir()
    (tmp_path / ".phoenix" / "watch.lock").write_text('{"who": "long gone"')
    assert only_one.holder(tmp_path) is None
    with only_one.hold(tmp_path, "incus"):
        found = only_one.holder(tmp_path)
        assert found is not None
        assert found.who != "long gone"


def test_a_stack_is_watched_from_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filelock, "folder", lambda _environ: tmp_path)
    here, copy = desired(folder=tmp_path / "a"), desired(folder=tmp_path / "b")
    elsewhere = replace(copy, target=replace(copy.target, project="other"))
    told = rf"^stack lab is watched already, on incus: .+ \(pid {os.getpid()}\) since"
    with only_one.hold_stack(here, "incus", {}):
        with pytest.raises(PhoenixError, match=told), only_one.hold_stack(copy, "incus", {}):
            pass
        with only_one.hold_stack(elsewhere, "incus", {}), only_one.hold_stack(copy, "proxmox", {}):
            pass
    with only_one.hold_stack(copy, "incus", {}):
        pass
    with only_one.hold_stack(here, "sim", {}), only_one.hold_stack(copy, "sim", {}):
        pass


def test_a_lock_that_others_put_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".phoenix").mkdir()
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".phoenix" / "watch.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(PhoenixError, match="no lock can be kept"), only_one.hold(tmp_path, "sim"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"
