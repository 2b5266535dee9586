"""Words of the folders that the host shares with the network: NFS and SMB."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from phoenix_hypervisor.config.words.base import Words, without_comments
from phoenix_hypervisor.config.words.values import (
    LoginName,
    NoComments,
    shaped,
)
from phoenix_hypervisor.model import share_words
from phoenix_hypervisor.model.secret import Secret

_LISTED = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def _options(value: object) -> object:
    """A text with commas is several options, as `/etc/exports` has them."""
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


NfsOptions = Annotated[
    list[Annotated[str, AfterValidator(share_words.nfs_option)]],
    BeforeValidator(_options),
    WithJsonSchema(_LISTED),
]
Clients = Annotated[
    list[Annotated[str, AfterValidator(share_words.nfs_client)]],
    BeforeValidator(_options),
    WithJsonSchema(_LISTED),
]


def _settings(value: object) -> object:
    return share_words.settings(without_comments(value))


Settings = Annotated[
    dict[str, str],
    BeforeValidator(_settings),
    WithJsonSchema(share_words.SETTINGS_SCHEMA),
]
Folder = Annotated[
    str,
    shaped(
        r"/?[A-Za-z0-9_@+][A-Za-z0-9_./+@-]*",
        "the path of a shared folder",
        "letters, digits and / . _ - + @ only, such as /srv/media or tank/media",
    ),
    AfterValidator(share_words.straight),
]
Workgroup = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9._-]{1,15}",
        "the name of a workgroup",
        "at most 15 letters, digits, - _ and .",
    ),
]


class NfsExport(Words):
    """A folder that the host shares over NFS."""

    path: Annotated[str, AfterValidator(share_words.export_path)] = Field(description="The folder.")
    clients: Clients = Field(
        default_factory=list,
        description="Who may mount it: addresses, subnets, host names, or `*` for all.",
    )
    options: NfsOptions = Field(
        default_factory=list, description="Options, as in `/etc/exports`: `rw`, `no_root_squash`, …"
    )


class Nfs(Words):
    """The host as an NFS server."""

    exports: list[NfsExport] = Field(default_factory=list, description="Shared folders.")


class SambaShare(Words):
    """A folder that the host shares over SMB."""

    name: Annotated[str, AfterValidator(share_words.share_name)] = Field(
        description="The share's name."
    )
    path: Folder = Field(description="The folder, or a dataset such as `tank/media`.")
    options: Settings = Field(
        default_factory=dict,
        description="Words of smb.conf(5), as `browseable=yes writable=yes` or as a map.",
    )
    valid_users: list[Annotated[str, AfterValidator(share_words.samba_user)]] = Field(
        default_factory=list,
        description="Who may use it: names of `users`, or a `@group`. Empty: all of `users`.",
    )


class SambaUser(Words):
    """Who may log in over SMB."""

    password: Secret = Field(description='The password over SMB, as `{"secret": "NAME"}`.')


class Samba(Words):
    """The host as an SMB server."""

    user: LoginName | None = Field(
        None, description="Whoever logs in, files are written as this user."
    )
    workgroup: Workgroup | None = Field(None, description="The workgroup; `WORKGROUP` if missing.")
    users: Annotated[dict[LoginName, SambaUser], NoComments] = Field(
        default_factory=dict, description="Who may log in over SMB."
    )
    shares: list[SambaShare] = Field(default_factory=list, description="Shared folders.")
    settings: Settings = Field(
        default_factory=dict, description="More words of smb.conf(5)'s `[global]`."
    )
