"""The script that takes a configuration: all of it, or the old one is back."""

import subprocess
from pathlib import Path

from phoenix_hypervisor.features import _take


def run(tmp_path: Path, accept: str, *, undo: str = ":") -> subprocess.CompletedProcess[str]:
    _take.MARKERS, before = str(tmp_path / "markers"), _take.MARKERS
    try:
        text = _take.script(
            "a thing",
            [str(tmp_path / "one"), str(tmp_path / "two")],
            {str(tmp_path / "current"): "releases/new"},
            accept,
            undo,
        )
    finally:
        _take.MARKERS = before
    (tmp_path / "one").write_text("old")
    (tmp_path / "one.new").write_text("new")
    (tmp_path / "two.new").write_text("new")
    (tmp_path / "current").symlink_to("releases/old")
    return subprocess.run(["sh"], input=text, capture_output=True, text=True, check=False)


def left(tmp_path: Path) -> set[str]:
    return {path.name for path in tmp_path.iterdir()} - {"markers"}


def test_takes_all(tmp_path: Path) -> None:
    done = run(tmp_path, f"grep -q new {tmp_path}/one\nreadlink {tmp_path}/current | grep -q new")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two").read_text() == "new"
    assert left(tmp_path) == {"one", "two", "current"}
    assert list((tmp_path / "markers").iterdir()) == []


def test_goes_back_and_says_why(tmp_path: Path) -> None:
    # `set -e` must hold: the first failing command decides, not the last one.
    done = run(
        tmp_path, "echo 'line 3 is bad' >&2\nfalse\ntrue", undo=f"cp {tmp_path}/one {tmp_path}/u"
    )
    assert done.returncode == 1
    assert "The new a thing was refused; the old one is back." in done.stderr
    assert "line 3 is bad" in done.stderr
    assert (tmp_path / "one").read_text() == "old"
    assert (tmp_path / "u").read_text() == "old"
    assert (tmp_path / "current").readlink() == Path("releases/old")
    assert left(tmp_path) == {"one", "current", "u"}
