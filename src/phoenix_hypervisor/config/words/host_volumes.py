"""Words of folders of the host that several guests mount."""

from typing import Annotated

from pydantic import AfterValidator, Field

from phoenix_hypervisor.config.words.base import Words, wrong
from phoenix_hypervisor.config.words.host_firewall import HostFirewall
from phoenix_hypervisor.config.words.values import AbsolutePath, GuestId, NoComments, shaped

_LAST_ID = 65_535


def _in_range(text: str) -> str:
    for one in text.split(":"):
        if int(one) > _LAST_ID:
            raise wrong(f"no guest has a user or group {one}", f"ids go to {_LAST_ID}")
    return text


Owner = Annotated[
    str,
    shaped(r"\d{1,5}(:\d{1,5})?", "an owner", "a user's id and a group's, such as \"1000:1000\""),
    AfterValidator(_in_range),
]
Mode = Annotated[
    str,
    shaped(r"[0-7]{3,4}", "the mode of a folder", 'octal digits in quotes, such as "0770"'),
]
WriterId = Annotated[int, Field(ge=0, le=_LAST_ID)]


class SharedVolume(Words):
    """A folder of the host that several guests mount."""

    host_path: AbsolutePath = Field(description="The folder on the host.")
    mounts: Annotated[dict[GuestId, AbsolutePath], NoComments] = Field(
        default_factory=dict, description="Guest's id to path in the guest."
    )
    owner: Owner | None = Field(
        None,
        description="Its owner, as guests see it: `1000` or `1000:1000`. Where missing, a new one "
        "is root's of the guests, and one that is there keeps its own.",
    )
    mode: Mode | None = Field(
        None, description="Who may do what, as `0770`; a new one gets `0755` where missing."
    )
    writers: list[WriterId] = Field(
        default_factory=list,
        description="Ids of more users who may write in it, as guests see them, such as `[1000]`.",
    )

    @property
    def is_governed(self) -> bool:
        """Whether the file says more of the folder than that it is there."""
        return bool(self.owner or self.mode or self.writers)


class SharedVolumes(Words, extra="allow"):
    """Folders of the host that several guests mount, each under its name."""

    __pydantic_extra__: dict[str, SharedVolume]

    firewall: HostFirewall | None = Field(
        None, description="The host's firewall, which some files hold here by mistake."
    )
