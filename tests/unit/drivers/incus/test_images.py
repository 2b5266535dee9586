"""Which image a template's name stands for."""

import asyncio
import io
import json
import tarfile
from pathlib import Path

import pytest
from tests.unit.plan.worlds import clone, desired, template

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.drivers.incus import images
from phoenix_hypervisor.drivers.incus.client import Client
from phoenix_hypervisor.model.desired import Image
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import NotFound, Unsupported


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("debian-13-standard", ("debian", "13", "trixie")),
        ("debian-13-standard_13.1-2_amd64.tar.zst", ("debian", "13", "trixie")),
        ("debian-12-standard_12.7-1_amd64.tar.zst", ("debian", "12", "bookworm")),
        ("local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst", ("debian", "13", "trixie")),
        ("/fastData/shared/debian-13-minimal_13.1-2_amd64.tar.gz", ("debian", "13", "trixie")),
        ("ubuntu-24.04-standard", ("ubuntu", "24.04", "noble")),
        ("ubuntu-24.04-standard_24.04-2_amd64.tar.zst", ("ubuntu", "24.04", "noble")),
        ("fast:vztmpl/ubuntu-22.04-standard_22.04-1_amd64.tar.zst", ("ubuntu", "22.04", "jammy")),
        ("debian-13-default_20250101_amd64.tar.xz", ("debian", "13", "trixie")),
    ],
)
def test_release(name: str, release: tuple[str, str, str]) -> None:
    found = images.release(name)
    assert (found.distribution, found.version, found.suite) == release


@pytest.mark.parametrize(
    "name",
    [
        "",
        "debian",
        "debian-13",
        "debian-11-standard",
        "debian-13.1-standard",
        "ubuntu-24-standard",
        "ubuntu-25.10-standard_25.10-1_amd64.tar.zst",
        "alpine-3.22-default_20250617_amd64.tar.xz",
        "my-debian-13-standard",
        "standard-debian-13",
        "debian-13-standard/old.tar.zst",
    ],
)
def test_what_is_not_understood(name: str) -> None:
    with pytest.raises(Unsupported, match="no image is known") as caught:
        images.release(name)
    assert f"“{name}”" in caught.value.message
    for known in ("debian-13-standard", "debian-12-standard", "ubuntu-24.04-standard"):
        assert known in caught.value.hint


async def test_two_runs_at_once_make_one_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[str] = []
    told: list[str] = []

    async def there(_: images.Images, wanted: images.Release) -> bool:
        return wanted.alias in made

    async def make(_: images.Images, wanted: images.Release, tell: Tell) -> None:
        await asyncio.sleep(0.05)
        made.append(wanted.alias)

    monkeypatch.setattr(filelock, "folder", lambda _environ: tmp_path)
    monkeypatch.setattr(images.Images, "_there", there)
    monkeypatch.setattr(images.Images, "_make", make)
    runs = [images.Images(Client(None, "default")) for _ in range(2)]
    await asyncio.gather(*(run.ensure("debian-13-standard", told.append) for run in runs))
    assert made == ["phoenix/debian-13/1"]
    assert told == ["another one makes the image just now; it is waited for"]


def test_aliases_are_not_shared_by_releases() -> None:
    names = ["debian-12-standard", "debian-13-standard", "ubuntu-22.04-cloud", "ubuntu-24.04-cloud"]
    assert len({images.release(name).alias for name in names}) == len(names)
    assert images.release("debian-13-standard").alias.startswith("phoenix/debian-13/")


def test_origin_is_at_the_root_of_the_clones() -> None:
    base = template(900, source=Image("debian-12-standard"))
    middle = clone(901, base)
    last = clone(902, middle)
    assert images.origin(last, desired(base, middle, last)).suite == "bookworm"
    with pytest.raises(NotFound, match="lxc/900, which lxc/902 is cloned from"):
        images.origin(last, desired(middle, last))


def test_metadata_is_what_incus_reads(tmp_path: Path) -> None:
    path = tmp_path / "metadata.tar"
    images._write_metadata(path, images.release("debian-13-standard"), "aarch64")
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        assert archive.getnames() == ["metadata.yaml"]
        content = archive.extractfile("metadata.yaml")
        assert content is not None
        described = json.load(content)
    assert described["properties"]["release"] == "trixie"
    assert described["architecture"] == "aarch64"
    assert isinstance(described["creation_date"], int)
