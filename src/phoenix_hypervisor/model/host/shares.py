"""What the host shares with the network: NFS and SMB."""

from dataclasses import dataclass

from phoenix_hypervisor.model.secret import Secret


@dataclass(frozen=True, slots=True)
class NfsExport:
    """A folder shared over NFS. `clients` are addresses, subnets or names.

    `options` are as exports(5) has them, such as `rw` and `no_subtree_check`.
    """

    path: str
    clients: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SambaUser:
    """Who may log in over SMB."""

    name: str
    password: Secret


@dataclass(frozen=True, slots=True)
class SambaShare:
    """A folder shared over SMB. `options` are words of smb.conf(5) with their values.

    `dataset`: the files name it so, as `tank/media` (or a folder in a dataset); `path` is then
    where it is mounted when it is new.
    """

    name: str
    path: str
    options: tuple[tuple[str, str], ...] = ()
    valid_users: tuple[str, ...] = ()
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class Samba:
    """SMB. `user` owns what is written; `settings` are words of smb.conf(5)'s `[global]`."""

    user: str | None = None
    workgroup: str | None = None
    users: tuple[SambaUser, ...] = ()
    shares: tuple[SambaShare, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """What is shared."""

    exports: tuple[NfsExport, ...] = ()
    samba: Samba = Samba()
