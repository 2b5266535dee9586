"""Templates as images: made once from the machine's own mirror, or fetched, then cached.

A template's name such as `debian-13-standard_13.1-2_amd64.tar.zst` names distribution and
release. Where the machine runs the same distribution, `mmdebstrap` builds the image from the
machine's mirror; else it comes from Incus's `images:` remote.
"""

import asyncio
import io
import json
import os
import re
import shutil
import tarfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.drivers.incus import handover
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import DriverError, NotFound, Unsupported
from phoenix_hypervisor.shell import scratch

_SUITES = {
    ("debian", "12"): "bookworm",
    ("debian", "13"): "trixie",
    ("ubuntu", "22.04"): "jammy",
    ("ubuntu", "24.04"): "noble",
}
_PACKAGES = (
    "ca-certificates,curl,dbus,iproute2,iputils-ping,less,libpam-systemd,locales,netbase,"
    "nftables,procps,python3,systemd-sysv,sudo,udev"
)
_BUILD_LIMIT_S = 900


@dataclass(frozen=True, slots=True)
class Release:
    """A distribution's release: `debian`, `13`, `trixie`."""

    distribution: str
    version: str
    suite: str

    @property
    def alias(self) -> str:
        """The image's name in Incus. The number at its end changes with the recipe."""
        return f"phoenix/{self.distribution}-{self.version}/1"


def release(template: str) -> Release:
    """Reads a template's name. Raises `Unsupported` with the names that are understood."""
    plain = template.rsplit("/", 1)[-1]
    match = re.match(r"([a-z]+)-(\d+(?:\.\d+)?)-(?:standard|minimal|default|cloud)", plain)
    suite = _SUITES.get((match[1], match[2])) if match else None
    if match is None or suite is None:
        known = ", ".join(f"{name}-{version}-standard" for name, version in _SUITES)
        raise Unsupported(
            f"no image is known for the template “{template}” on incus",
            hint=f"start its name with one of: {known}",
        )
    return Release(match[1], match[2], suite)


def origin(guest: Guest, desired: Desired) -> Release:
    """The release at the root of a guest's line of clones. Raises `NotFound` where it breaks."""
    source = guest.source
    while isinstance(source, CloneOf):
        if source.address not in desired.guests:
            raise NotFound(f"{source.address}, which {guest.address} is cloned from, is not there")
        source = desired.guests[source.address].source
    return release(source.template)


class Images:
    """The daemon's images; who wants one that is just being made, in any run, waits for it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ensure(self, template: str, tell: Tell) -> Release:
        """Makes sure that the template's image is there."""
        wanted = release(template)
        if await self._there(wanted):
            return wanted
        wait = partial(tell, "another one makes the image just now; it is waited for")
        async with filelock.turn(f"image {wanted.alias}", wait, os.environ):
            if not await self._there(wanted):
                try:
                    await self._make(wanted, tell)
                except DriverError:
                    if not await self._there(wanted):  # another user was faster
                        raise
        return wanted

    async def aliases(self) -> frozenset[str]:
        """The names of the images that are there."""
        found = await self._client.listed("/1.0/images/aliases", project="default")
        return frozenset(alias["name"] for alias in found)

    async def _there(self, wanted: Release) -> bool:
        try:
            await self._client.get(at("images", "aliases", wanted.alias), project="default")
        except NotFound:
            return False
        return True

    async def _make(self, wanted: Release, tell: Tell) -> None:
        mirror = await handover.find_mirror()
        builder = shutil.which("mmdebstrap")
        if mirror is not None and builder and mirror.distribution == wanted.distribution:
            await self._build(wanted, mirror, builder, tell)
        else:
            tell(f"fetching the image {wanted.distribution}/{wanted.version}")
            remote = f"images:{wanted.distribution}/{wanted.version}"
            copy = ("incus", "image", "copy", remote, "local:", "--alias", wanted.alias)
            await _run(*copy, tell=tell, what=f"fetching {remote}")

    async def _build(
        self, wanted: Release, mirror: handover.Mirror, builder: str, tell: Tell
    ) -> None:
        tell(f"building the image {wanted.distribution} {wanted.version} (about 40 s, once)")
        with scratch.folder("phoenix-image-") as folder:
            root, meta = folder / "rootfs.tar.zst", folder / "metadata.tar"
            sources = folder / "sources.list"
            sources.write_text(handover.apt_sources(mirror, wanted.suite))
            await _run(
                builder,
                "--variant=minbase",
                f"--include={_PACKAGES}",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                '--customize-hook=chroot "$1" systemctl enable systemd-networkd',
                '--customize-hook=chroot "$1" systemctl mask systemd-modules-load.service',
                '--customize-hook=rm -f "$1"/etc/resolv.conf',
                '--customize-hook=rm -f "$1"/etc/apt/sources.list.d/0000sources.list',
                '--customize-hook=: > "$1"/etc/machine-id',
                wanted.suite,
                str(root),
                str(sources),
                tell=tell,
                what="building the image with mmdebstrap",
                within=folder,
            )
            daemon = await self._client.get("/1.0", project=None)
            _write_metadata(meta, wanted, daemon["environment"]["architectures"][0])
            if await self._there(wanted):
                return  # another user made it meanwhile: a second one would have no name
            tell("importing the image")
            await _run(
                "incus", "image", "import", str(meta), str(root),
                "--project", "default", "--alias", wanted.alias,
                tell=tell, what="importing the image",
            )  # fmt: skip


def _write_metadata(path: Path, wanted: Release, architecture: str) -> None:
    # JSON is YAML. Source: the Incus documentation, "Image format".
    described = {
        "architecture": architecture,
        "creation_date": int(time.time()),
        "properties": {
            "description": f"{wanted.distribution} {wanted.version} (made by Phoenix)",
            "os": wanted.distribution,
            "release": wanted.suite,
        },
    }
    content = json.dumps(described).encode()
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("metadata.yaml")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


async def _run(*argv: str, tell: Tell, what: str, within: Path | None = None) -> None:
    """`within`: where it may leave its own temporary files."""
    process = await asyncio.create_subprocess_exec(
        *scratch.ending_with_us(),
        *argv,
        env=None if within is None else {**os.environ, "TMPDIR": str(within)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    tail: list[str] = []
    try:
        async with asyncio.timeout(_BUILD_LIMIT_S):
            assert process.stdout is not None  # noqa: S101 - asked for above
            async for line in process.stdout:
                text = line.decode(errors="replace").strip()
                tail = [*tail[-14:], text]
                if text.startswith("I: "):
                    tell(text.removeprefix("I: ")[:60])
            status = await process.wait()
    except TimeoutError:
        raise DriverError(f"{what} took longer than {_BUILD_LIMIT_S} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status:
        words = DriverError(f"{what} failed (exit status {status})", hint="see the output above")
        words.detail = "\n".join(tail)
        raise words
