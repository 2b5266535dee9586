"""Folders of the host that several guests mount."""

from dataclasses import dataclass

from phoenix_hypervisor.model.address import Address


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """One of them. `uid`, `gid` and `writers` are ids as its guests see them.

    None of `uid` and `mode`: one that is there keeps what it has. `mode` is octal, with four
    digits. `guests` are the containers that mount it.
    """

    name: str
    path: str
    guests: tuple[Address, ...] = ()
    uid: int | None = None
    gid: int | None = None
    mode: str | None = None
    writers: tuple[int, ...] = ()

    @property
    def address(self) -> Address:
        """`volume/<name>`."""
        return Address(f"volume/{self.name}")


@dataclass(frozen=True, slots=True)
class Volumes:
    """Shared folders."""

    folders: tuple[SharedFolder, ...] = ()
