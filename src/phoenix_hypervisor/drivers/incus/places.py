"""Backups as files: a folder for each, that appears whole or not at all.

FOLDER/STACK/lxc-101/2026-11-22T02-30-00Z/
    phoenix.json         whose it is, when it was taken, and each file's SHA-256
    instance.tar.zst     as `incus export` makes it
    volume-data.tar.zst  each volume of its own
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.backup import Backup
from phoenix_hypervisor.model.errors import DriverError, NotFound, Unsupported

ABOUT = "phoenix.json"
_FORM = "%Y-%m-%dT%H-%M-%SZ"
_PART = ".part"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one stack's backups."""

    folder: str | None
    stack: str

    @property
    def root(self) -> Path:
        """Raises `Unsupported` where the files name none."""
        if self.folder is None:
            raise Unsupported(
                "the files do not say where backups go",
                hint='add "backups": {"folder": "/…"} to phoenix_hypervisor_config.json',
            )
        return Path(self.folder) / self.stack

    def begin(self, guest: Address, now: datetime) -> Path:
        """A new folder that does not count yet, for nobody but root: backups hold secrets."""
        own = self.root / names.instance(guest)
        try:
            own.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in own.glob(f"*{_PART}"):  # of a run that was killed
                shutil.rmtree(left)
            part = own / f"{now.astimezone(UTC):{_FORM}}{_PART}"
            part.mkdir(mode=0o700)
        except OSError as error:
            raise DriverError(f"a backup can't be written: {error}") from error
        return part

    def finish(self, part: Path, about: Mapping[str, Any]) -> Backup:
        """From here on it counts."""
        (part / ABOUT).write_text(json.dumps(about, indent=1))
        whole = part.with_name(part.name.removesuffix(_PART))
        part.rename(whole)
        return _read(whole)

    def listed(self) -> Iterator[Backup]:
        """All that are whole."""
        if self.root.is_dir():
            for about in sorted(self.root.glob(f"*/*/{ABOUT}")):
                if not about.parent.name.endswith(_PART):
                    yield _read(about.parent)

    def remove(self, backup: Backup) -> None:
        """Deletes one; broken off, it does not count any more."""
        whole = Path(backup.id)
        gone = whole.with_name(whole.name + _PART)
        whole.rename(gone)
        shutil.rmtree(gone)


def about(backup: Backup) -> dict[str, Any]:
    """What the backup says of itself. Raises `NotFound` and `DriverError`."""
    try:
        found: dict[str, Any] = json.loads((Path(backup.id) / ABOUT).read_text())
    except FileNotFoundError:
        raise NotFound(f"the backup {backup.id} is not there any more") from None
    except (OSError, ValueError) as error:
        raise DriverError(f"the backup {backup.id} can't be read: {error}") from error
    return found


def check(backup: Backup, files: Mapping[str, str]) -> None:
    """Raises `DriverError` for a file that is missing or not as it was written."""
    for name, digest in files.items():
        path = Path(backup.id) / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DriverError(f"the backup is damaged: {error}") from error
        if found != digest:
            raise DriverError(f"the backup is damaged: {path} is not as it was written")


def _read(whole: Path) -> Backup:
    taken = datetime.strptime(whole.name, _FORM).replace(tzinfo=UTC)
    size = sum(one.stat().st_size for one in whole.iterdir())
    guest = names.address(whole.parent.name) or Address(whole.parent.name)
    return Backup(str(whole), guest, taken, str(whole.parents[2]), size)
