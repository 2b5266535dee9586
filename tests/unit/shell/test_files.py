"""Files in and out over the persistent shell, on a real `sh` of this machine."""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from phoenix_hypervisor.model.errors import NotFound, PhoenixError
from phoenix_hypervisor.shell import Shell

S = 20.0


@pytest.fixture
def shell() -> Iterator[Shell]:
    with Shell(["sh"], name="here") as opened:
        yield opened


class TestFiles:
    def test_put_and_get_any_bytes(self, shell: Shell, tmp_path: Path) -> None:
        data = bytes(range(256)) * 10 + b"\n\n"
        path = tmp_path / "a name with 'quotes' and $x"
        shell.put(data, str(path))
        assert path.read_bytes() == data
        assert shell.get(str(path)) == data
        assert path.stat().st_mode & 0o7777 == 0o644
        shell.put(b"", str(path), mode=0o600)
        assert path.read_bytes() == b""
        assert path.stat().st_mode & 0o7777 == 0o600

    @pytest.mark.parametrize("text", ["", "-n", "it's $x `y` \\ \r\n%s\té", "x\n" * 3000])
    def test_put_any_text(self, shell: Shell, tmp_path: Path, text: str) -> None:
        path = tmp_path / "text"
        for data in (text.encode(), io.BytesIO(text.encode())):
            shell.put(data, str(path), mode=0o4750)
            assert path.read_bytes() == text.encode()
            assert path.stat().st_mode & 0o7777 == 0o4750
        assert [each.name for each in tmp_path.iterdir()] == ["text"]

    def test_large_files_are_streamed(self, shell: Shell, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(os.urandom(1 << 20) * 60)
        with source.open("rb") as file:
            file.read(10)  # read from its beginning all the same
            shell.put(file, str(tmp_path / "there"))
        with (tmp_path / "back").open("wb") as file:
            assert shell.get(str(tmp_path / "there"), to=file) == b""
        digests = {
            hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
            for name in ("source", "there", "back")
        }
        assert len(digests) == 1

    def test_an_existing_file_keeps_owner_and_mode(self, shell: Shell, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("old")
        path.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(path, 12, 34)
        owner = (path.stat().st_uid, path.stat().st_gid)
        shell.put(b"new", str(path), new_mode=0o600)
        assert path.read_text() == "new"
        assert path.stat().st_mode & 0o7777 == 0o640
        assert (path.stat().st_uid, path.stat().st_gid) == owner

    def test_a_link_is_followed(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("old")
        (tmp_path / "link").symlink_to("target")
        shell.put(b"new", str(tmp_path / "link"))
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").read_text() == "new"

    def test_what_can_not_be_written_is_told_and_leaves_nothing(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        with pytest.raises(PhoenixError, match=r"can't write .*/none/file"):
            shell.put(b"x" * 200_000, str(tmp_path / "none" / "file"))
        with pytest.raises(PhoenixError, match="is a folder"):
            shell.put(b"x", str(tmp_path))
        with pytest.raises(PhoenixError, match="can't write"):
            shell.put(b"x", "/proc/version")
        assert list(tmp_path.iterdir()) == []
        assert shell.run("echo usable", timeout_s=S).out == b"usable\n"

    def test_a_broken_off_upload_leaves_the_old_file(self, shell: Shell, tmp_path: Path) -> None:
        class Breaks(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                if self.tell() > 500_000:
                    raise OSError("the disk is gone")
                return super().read(size)

        path = tmp_path / "file"
        path.write_text("old")
        with pytest.raises(OSError, match="the disk is gone"):
            shell.put(Breaks(b"x" * 1_000_000), str(path))
        assert shell.run("echo usable", timeout_s=S).out == b"usable\n"
        assert [each.name for each in tmp_path.iterdir()] == ["file"]
        assert path.read_text() == "old"

    def test_a_missing_file(self, shell: Shell, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="there is no"):
            shell.get(str(tmp_path / "none"))
        with pytest.raises(PhoenixError, match="can't read"):
            shell.get(str(tmp_path))
