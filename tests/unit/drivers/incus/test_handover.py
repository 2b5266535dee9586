"""What guests are handed of this machine's mirrors, settings and certificates."""

from pathlib import Path

import pytest

from phoenix_hypervisor.drivers.incus import handover
from phoenix_hypervisor.drivers.incus.handover import Handover, Mirror, apt_sources


def test_apt_sources_of_debian() -> None:
    mirror = Mirror("debian", "http://mirror.lan/debian", "http://mirror.lan/security")
    assert apt_sources(mirror, "bookworm") == (
        "deb http://mirror.lan/debian bookworm main\n"
        "deb http://mirror.lan/debian bookworm-updates main\n"
        "deb http://mirror.lan/security bookworm-security main\n"
    )


def test_apt_sources_of_ubuntu_without_a_security_mirror_of_its_own() -> None:
    mirror = Mirror("ubuntu", "http://mirror.lan/ubuntu/", None)
    assert apt_sources(mirror, "noble") == (
        "deb http://mirror.lan/ubuntu/ noble main universe\n"
        "deb http://mirror.lan/ubuntu/ noble-updates main universe\n"
        "deb http://mirror.lan/ubuntu/ noble-security main universe\n"
    )


def folders(*texts: str) -> list[Path]:
    return list(handover._local_folders(texts))


def test_local_folders_are_found_in_settings(tmp_path: Path) -> None:
    wheels, index = tmp_path / "wheels", tmp_path / "index" / "simple"
    wheels.mkdir()
    index.mkdir(parents=True)
    found = folders(
        f"[global]\nfind-links = {wheels}\n",
        f"registry=file://{index}\n",
        f"deb file:{wheels} ./\n",
    )
    # An index links to files beside it, so that the folder above it is taken.
    assert found == [index.parent, wheels]


def test_what_is_no_folder_of_this_machine_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "wheel.whl"
    file.write_bytes(b"")
    assert folders(f"find-links = {file}", "index-url = /is/not/there", "") == []


def test_system_settings_are_not_mounted() -> None:
    assert folders("cert = /etc/ssl/certs/ca-certificates.crt", "deb file:/etc/apt x") == []


def test_addresses_on_the_network_are_no_folders() -> None:
    assert folders("index-url = https://mirror.lan/tmp/simple", "http://mirror.lan/usr/lib") == []


def test_addresses_with_a_port_are_no_folders() -> None:
    assert folders("index-url = http://mirror.lan:8080/usr/lib") == []


def test_addresses_with_a_password_are_no_folders() -> None:
    assert folders("index-url = https://ci:secret@mirror.lan/usr/lib") == []


def test_a_folder_beside_addresses_is_found(tmp_path: Path) -> None:
    assert folders(f"find-links = http://mirror.lan:8080/usr/lib {tmp_path}") == [tmp_path]


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("[global]\nindex-url = https://mirror.lan/simple\n", 0o644),
        ("registry=https://mirror.lan/@scope/\n", 0o644),
        ("[global]\nindex-url = https://ci:secret@mirror.lan/simple\n", 0o600),
        ('Acquire::http::Proxy "http://token@proxy.lan:3128";\n', 0o600),
        ("//mirror.lan/:_authToken=secret\n", 0o600),
    ],
)
def test_credentials_are_for_root_alone(text: str, mode: int) -> None:
    assert handover.mode(text.encode()) == mode


def test_the_digest_tells_contents_apart_and_not_their_order() -> None:
    one = Handover({"/a": b"1", "/b": b"2"}, ())
    assert one.digest == Handover({"/b": b"2", "/a": b"1"}, ()).digest
    others = [{"/a": b"2", "/b": b"1"}, {"/a": b"1"}, {"/a": b"1", "/c": b"2"}, {}]
    assert one.digest not in {Handover(files, ()).digest for files in others}


async def test_this_machine_can_be_asked() -> None:
    """Whatever this machine has, asking ends in files with absolute paths and real folders."""
    found = await handover.collect("trixie", "debian")
    assert all(path.startswith("/") for path in found.files)
    assert all(folder.is_dir() for folder in found.folders)
    mirror = await handover.find_mirror()
    own = mirror is not None and mirror.distribution == "debian"
    assert ("/etc/apt/sources.list" in found.files) is own


async def test_a_tool_that_is_not_there_says_nothing() -> None:
    assert await handover._ask("no-such-tool-anywhere", "--version") == ""
