"""Only the right server gets the password: by its authority, or by its one certificate."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import pve

from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.api.login import Ticket
from phoenix_hypervisor.drivers.proxmox.api.trust import Trust
from phoenix_hypervisor.model.errors import Unreachable

OTHER = ":".join(["AB"] * 32)


@pytest.fixture(scope="module")
def stranger() -> Iterator[pve.Pve]:
    with pve.started() as double:
        yield double


async def connect(double: pve.Pve, trust: Trust) -> str:
    async with Api(double.url, Ticket("root@pam", lambda: pve.PASSWORD), trust) as api:
        return str((await api.get("/version"))["version"])


@pytest.mark.parametrize("form", ["colons", "digits", "named"])
async def test_a_pinned_certificate(double: pve.Pve, form: str) -> None:
    written = {
        "colons": double.fingerprint,
        "digits": double.fingerprint.replace(":", "").lower(),
        "named": f"SHA256:{double.fingerprint}",
    }[form]
    assert await connect(double, Trust(fingerprint=written))


async def test_another_certificate_than_the_pinned_one(double: pve.Pve) -> None:
    with pytest.raises(Unreachable, match=f"pinned fingerprint is {OTHER}") as caught:
        await connect(double, Trust(fingerprint=OTHER))
    assert f"its SHA-256 fingerprint is {double.fingerprint}" in caught.value.message
    assert (await double.asked()).requests == ()


async def test_a_trusted_authority(double: pve.Pve) -> None:
    assert await connect(double, Trust(ca_file=double.ca_file))


async def test_an_authority_of_another_cluster(double: pve.Pve, stranger: pve.Pve) -> None:
    with pytest.raises(Unreachable, match="is not trusted") as caught:
        await connect(double, Trust(ca_file=stranger.ca_file))
    assert double.fingerprint in caught.value.message
    assert (await double.asked()).requests == ()


async def test_the_machines_own_authorities(double: pve.Pve) -> None:
    with pytest.raises(Unreachable, match=r"is not trusted: self.signed certificate") as caught:
        await connect(double, Trust())
    assert double.fingerprint in caught.value.message
    for way in ("hypervisor.ca_file", "hypervisor.fingerprint", "pvenode cert info"):
        assert way in caught.value.hint
    assert (await double.asked()).requests == ()


async def test_anybody_when_asked_for(double: pve.Pve) -> None:
    assert await connect(double, Trust(verify=False))


@pytest.mark.parametrize("written", ["", "AB:CD", "zz" * 32])
async def test_a_fingerprint_that_is_none(double: pve.Pve, written: str) -> None:
    with pytest.raises(Unreachable, match="is not a SHA-256 fingerprint"):
        await connect(double, Trust(fingerprint=written))


@pytest.mark.parametrize("there", [True, False])
async def test_a_file_without_certificates(double: pve.Pve, tmp_path: Path, there: bool) -> None:
    file = tmp_path / "ca.pem"
    if there:
        file.write_text("nothing", encoding="utf-8")
    with pytest.raises(Unreachable, match="can't be read"):
        await connect(double, Trust(ca_file=str(file)))
