"""Words of the folders that the host shares with the network: NFS and SMB."""

from pydantic import Field

from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.values import AbsolutePath, Lines, Text


class NfsExport(Words):
    """A folder that the host shares over NFS."""

    path: AbsolutePath = Field(description="The folder.")
    clients: list[Text] = Field(default_factory=list, description="Who may mount it.")
    options: Lines = Field(default_factory=list, description="Options, as in `/etc/exports`.")


class Nfs(Words):
    """The host as an NFS server."""

    exports: list[NfsExport] = Field(default_factory=list, description="Shared folders.")


class SambaShare(Words):
    """A folder that the host shares over SMB."""

    name: Text = Field(description="The share's name.")
    path: Text = Field(description="The folder or dataset.")
    options: Text | None = Field(None, description="Options, as `a=b c=d`.")
    valid_users: list[Text] = Field(default_factory=list, description="Who may use it.")


class Samba(Words):
    """The host as an SMB server."""

    user: Text | None = Field(None, description="The user that owns the files.")
    shares: list[SambaShare] = Field(default_factory=list, description="Shared folders.")
