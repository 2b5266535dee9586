"""Types of values that several features' options share.

They are narrow on purpose: these values end in configuration files of other programs, where a
quote, a newline or a `;` in the wrong place would become a directive. What can't be written
safely is refused when the folder is read, with the key that holds it.
"""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from phoenix_hypervisor.model.feature import FeatureOptions

Port = Annotated[int, Field(ge=1, le=65535)]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
"""A name that may be part of a path or of a unit's name."""

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
"""A login name, as `useradd` takes it (man useradd, NAME_REGEX)."""

HostName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$",
        max_length=253,
    ),
]
"""A DNS name, or all names below one (`*.example.com`)."""

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
PlainHost = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=253)]
"""One DNS name (RFC 1123)."""

OwnName = Annotated[PlainHost, StringConstraints(max_length=64)]
"""What a host calls itself: Linux keeps 64 characters (HOST_NAME_MAX of limits.h)."""


def is_private(part: str) -> bool:
    """Whether a part of a path is none of a guest's business: Git's data, Phoenix's secrets."""
    return part.startswith(".phoenix") or part == ".git"


def _stays_inside(path: str) -> str:
    parts = path.split("/")
    if ".." in parts:
        raise ValueError("the path must not lead out of the folder with ..")
    if any(map(is_private, parts)):
        raise ValueError("the path leads to what never goes into a guest (.git, .phoenix…)")
    return path


def _below(path: str) -> str:
    if not PurePosixPath(path).parts:
        raise ValueError("the whole folder can't be given: name a folder in it")
    return path


RelativePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./ -]*$"),
    AfterValidator(_stays_inside),
]
"""A path inside the folder of the configuration files, that doesn't lead out of it."""

FolderBelow = Annotated[RelativePath, AfterValidator(_below)]
"""A folder inside the folder of the configuration files, which also hold secrets."""


def _straight(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("the path must not hold ..: write where it leads to")
    return path


AbsolutePath = Annotated[
    str, StringConstraints(pattern=r"^/[A-Za-z0-9_./+@-]*$"), AfterValidator(_straight)
]
"""A path in the guest."""

PackageName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?$")
]
"""A Debian package, optionally with its architecture and version (Debian policy 5.6.1)."""

PlainText = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of text without control characters."""


TOKEN_RULE = "8 to 512 characters of A-Z a-z 0-9 - . _ ~ + / ="  # noqa: S105
"""What a bearer token or an engine's key must have (RFC 6750, section 2.1), so that every header,
environment and configuration file can hold it."""


def is_token(text: str) -> bool:
    """Whether a text keeps `TOKEN_RULE`."""
    return re.fullmatch(r"[A-Za-z0-9._~+/=-]{8,512}", text) is not None


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Hosts = Annotated[tuple[HostName, ...], BeforeValidator(_one_or_many)]
"""One host name, or a list of them."""

Network = IPv4Network | IPv6Network
"""A subnet as CIDR, such as `10.0.0.0/24`; a single address counts as a subnet of one."""


class AddressOf(FeatureOptions):
    """The static address of another guest, so that nobody writes an address twice."""

    address_of: int | str = Field(description="The guest's id or name.")
