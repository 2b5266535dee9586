"""Words of folders of the host that several guests mount."""

from typing import Annotated

from pydantic import Field

from phoenix_hypervisor.config.words.base import Later, Words
from phoenix_hypervisor.config.words.shared import HostFirewall
from phoenix_hypervisor.config.words.values import AbsolutePath, GuestId, NoComments


class SharedVolume(Words):
    """A folder of the host that several guests mount."""

    host_path: AbsolutePath = Field(description="The folder on the host.")
    mounts: Annotated[dict[GuestId, AbsolutePath], NoComments] = Field(
        default_factory=dict, description="Guest's id to path in the guest."
    )


class SharedVolumes(Words, extra="allow"):
    """Folders of the host that several guests mount, each under its name."""

    __pydantic_extra__: dict[str, SharedVolume]

    firewall: Annotated[HostFirewall | None, Later()] = Field(
        None, description="The host's firewall, which some files hold here by mistake."
    )
