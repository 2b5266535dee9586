"""Types of single values: what each may look like, and how to mend one that doesn't."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from phoenix_hypervisor.config.ip import ip_address, ip_interface, not_for_guests
from phoenix_hypervisor.config.words.base import without_comments, wrong
from phoenix_hypervisor.model import route

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_BRIDGE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")
_STORAGE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]")
_SNAPSHOT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_URL = re.compile(r"https?://[^\s/]+\S*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPLIT = re.compile(r"[\s,;]+")


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise wrong("control characters and line breaks are not allowed here")
    return text


Text = Annotated[str, StringConstraints(min_length=1), AfterValidator(_plain)]
"""One line of text."""


def _name(text: str) -> str:
    labels = text.split(".")
    if len(text) <= 253 and all(_NAME.fullmatch(label) for label in labels):  # noqa: PLR2004 - RFC 1035
        return text
    if "_" in text or " " in text:
        hint = f'write "{re.sub(r"[_ ]+", "-", text).strip("-")}"'
    else:
        hint = "letters, digits, - and . only, with no - at an end, at most 63 between dots"
    raise wrong(f"`{text}` is not a host name", hint)


HostName = Annotated[str, AfterValidator(_name)]
"""Labels of letters, digits and `-`, joined by dots (RFC 1123)."""


def _own_name(text: str) -> str:
    if len(_name(text)) > 64:  # noqa: PLR2004 - HOST_NAME_MAX, see limits.h(0p)
        raise wrong(f"`{text}` is too long for a host's own name", "at most 64 characters")
    return text


GuestName = Annotated[str, AfterValidator(_own_name)]
"""What a guest is called, and calls itself: Linux keeps 64 characters."""


def _bridge(text: str) -> str:
    if not _BRIDGE.fullmatch(text):
        raise wrong(
            f"`{text}` is not the name of a bridge", "at most 15 letters and digits, such as vmbr0"
        )
    return text


BridgeName = Annotated[str, AfterValidator(_bridge)]


def _storage(text: str) -> str:
    if not _STORAGE.fullmatch(text):
        hint = "at least two of letters, digits and - _ . such as local-zfs"
        raise wrong(f"`{text}` is not the name of a storage", hint)
    return text


StorageName = Annotated[str, AfterValidator(_storage)]


def _snapshot(text: str) -> str:
    if not _SNAPSHOT.fullmatch(text):
        hint = "a letter first, then letters, digits, - and _, at most 40"
        raise wrong(f"`{text}` is not the name of a snapshot", hint)
    return text


SnapshotName = Annotated[str, AfterValidator(_snapshot)]


def _login(text: str) -> str:
    if not _LOGIN.fullmatch(text):
        hint = "a small letter first, then small letters, digits, - and _, at most 32"
        raise wrong(f"`{text}` is not a login name", hint)
    return text


LoginName = Annotated[str, AfterValidator(_login)]


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise wrong(f"the path `{text}` must start with /", f'write "/{text}"')
    if ".." in text.split("/"):
        raise wrong(f"the path `{text}` must not hold ..", "write where it leads to")
    return _plain(text)


AbsolutePath = Annotated[str, AfterValidator(_absolute)]


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise wrong(f"`{text}` is not a web address", "it starts with https:// or http://")
    return text


Url = Annotated[str, AfterValidator(_url)]


def shaped(pattern: str, what: str, hint: str) -> Any:
    """A validator for text of one form; what has another one is told as not being `what`."""
    form = re.compile(pattern)

    def read(text: str) -> str:
        if not form.fullmatch(text):
            raise wrong(f"`{text}` is not {what}", hint)
        return _plain(text)

    return AfterValidator(read)


def _route_path(text: str) -> str:
    reason = route.refusal(text)
    if reason:
        raise wrong(f"`{text}` is not the path of a route", reason)
    return text


RoutePath = Annotated[str, AfterValidator(_route_path)]
StackName = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}",
        "the name of a stack",
        "letters, digits, - _ and . only, at most 63",
    ),
]
ProjectName = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9][A-Za-z0-9-]{0,62}",
        "the name of a project",
        "letters, digits and - only, at most 63",
    ),
]
TimeZone = Annotated[
    str,
    shaped(
        r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*",
        "a time zone",
        "an area and a city, such as Europe/Berlin, or UTC",
    ),
]
Properties = Annotated[
    str,
    shaped(
        r"\s*[a-z][a-z0-9:._-]*=[^,=]+(\s*,\s*[a-z][a-z0-9:._-]*=[^,=]+)*\s*",
        "a list of properties",
        "such as compression=lz4,quota=100G",
    ),
]


def _mac(text: str) -> str:
    if not _MAC.fullmatch(text):
        raise wrong(f"`{text}` is not a MAC address", "six pairs like 52:54:00:12:34:56")
    if int(text[:2], 16) & 1:
        hint = "the first pair must be even, such as 52"
        raise wrong(f"`{text}` is a multicast address, which no network card can have", hint)
    return text.upper()


Mac = Annotated[str, AfterValidator(_mac)]


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        hint = "without a prefix length" if "/" in text else "such as 10.0.0.1"
        raise wrong(f"`{text}` is not an IP address", hint) from None


Ip = Annotated[str, AfterValidator(_ip)]


def _server(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return _name(text)


Server = Annotated[str, AfterValidator(_server)]
"""An address or a host name."""


def _cidr(text: str) -> str:
    """An address with the prefix length of its subnet."""
    address, slash, _ = text.partition("/")
    try:
        interface = ip_interface(text)
    except ValueError:
        hint = "an address with its prefix length, such as 10.0.0.5/24"
        raise wrong(f"`{text}` is not an IP address with a prefix length", hint) from None
    if not slash:
        hint = f"write the size of its subnet too, such as {address}/24"
        raise wrong(f"`{text}` has no prefix length", hint)
    if why := not_for_guests(interface.ip, interface.network):
        raise wrong(f"`{text}` is {why}", "choose another address inside it")
    return str(interface)


Cidr = Annotated[str, AfterValidator(_cidr)]


def _address(text: str) -> str:
    if text.lower() == "dhcp":
        return "dhcp"
    try:
        return _cidr(text)
    except ValueError:
        if not any(character.isdigit() for character in text):
            hint = "an address with its prefix length, such as 10.0.0.5/24, or dhcp"
            raise wrong(f"`{text}` is not an address", hint) from None
        raise


Address = Annotated[str, AfterValidator(_address)]
"""`10.0.0.5/24`, or `dhcp`."""


def split(value: object) -> object:
    """A text of one or several as a list; a list as it is."""
    if isinstance(value, str):
        return [part for part in _SPLIT.split(value) if part]
    return value


_TEXT_OR_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

Ips = Annotated[list[Ip], BeforeValidator(split), WithJsonSchema(_TEXT_OR_LIST)]
"""One address, several in one text, or a list."""


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


Lines = Annotated[list[Text], BeforeValidator(_one_or_many), WithJsonSchema(_TEXT_OR_LIST)]
"""One text, or a list of them."""


def _id(value: object) -> object:
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit():
            raise wrong(f"`{value}` is not the id of a guest", "an id is a number, such as 101")
        return int(value)
    return value


_NUMBER_OR_TEXT = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}]}
GuestId = Annotated[
    int, BeforeValidator(_id), Field(ge=1, le=999_999_999), WithJsonSchema(_NUMBER_OR_TEXT)
]
"""101 or "101"."""

Port = Annotated[int, Field(ge=1, le=65535)]


def number_as_port(text: str) -> int:
    """A port written as text. Raises our own error where it isn't one."""
    if text.isascii() and text.isdigit() and 0 < int(text) <= 65535:  # noqa: PLR2004 - RFC 9293
        return int(text)
    raise wrong(f"`{text}` is not a port", "ports are the numbers 1 to 65535")


def _ranges(value: object) -> object:
    """Ports of a firewall rule, as texts `80` and `8000-8100`."""
    rows = value if isinstance(value, list) else [value]
    parts: list[str] = []
    for row in rows:
        if isinstance(row, bool) or not isinstance(row, int | str):
            raise wrong("a port must be a number or text", 'such as 443, "80,443" or "8000-8100"')
        parts.extend(part for part in _SPLIT.split(str(row)) if part)
    return [_range(part) for part in parts]


def _range(text: str) -> str:
    low, dash, high = text.replace(":", "-").partition("-")
    first = number_as_port(low)
    if not dash:
        return str(first)
    last = number_as_port(high)
    if last < first:
        raise wrong(f"the range `{text}` ends before it starts", f"write {last}-{first}")
    return f"{first}-{last}"


_PORTS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 65535},
        {"type": "string"},
        {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
    ]
}
PortRanges = Annotated[list[str], BeforeValidator(_ranges), WithJsonSchema(_PORTS_SCHEMA)]
"""443, "443", "80,443", "8000-8100", or a list of such."""


def _served(value: object) -> object:
    if isinstance(value, str):
        outer, colon, inner = value.removesuffix("/tcp").partition(":")
        if colon:
            return (number_as_port(outer.strip()), number_as_port(inner.strip()))
    raise wrong(f"`{value}` is not `host:guest`", 'two ports, such as "8080:80"')


Served = Annotated[
    Any, BeforeValidator(_served), WithJsonSchema({"type": "string", "pattern": "^[0-9]+:[0-9]+$"})
]
"""`8080:80` as (8080, 80): the port on the host, and the one in the guest."""


def _gpus(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong("must be text such as none, 0 or 0,1")
    text = str(value).strip()
    if text.lower() == "none":
        return []
    parts = [part for part in _SPLIT.split(text) if part]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise wrong(f"`{text}` names no graphics cards", "none, or indices such as 0 or 0,1")
    return sorted({int(part) for part in parts})


Gpus = Annotated[list[int], BeforeValidator(_gpus), WithJsonSchema({"type": "string"})]
"""`none`, `0`, `0,1`: indices of the host's graphics cards."""


def networks(text: str) -> str:
    """Addresses, subnets and ranges as PVE's firewall takes them, joined by commas."""
    parts = [part for part in _SPLIT.split(text) if part]
    for end in (end for part in parts for end in part.split("-", 1)):
        try:
            ip_interface(end)
        except ValueError:
            hint = "an address, a subnet such as 10.0.0.0/24, or several with commas"
            raise wrong(f"`{end}` is not an address or subnet", hint) from None
    return ",".join(parts)


Networks = Annotated[str, AfterValidator(networks)]
"""Addresses, subnets and ranges, joined by commas."""


def _flag(value: object) -> object:
    return bool(value) if value in (0, 1) else value


Flag = Annotated[
    bool,
    BeforeValidator(_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}]}),
]
"""true, false, 1 or 0."""

SECRET_SCHEMA = {
    "type": "object",
    "properties": {"secret": {"type": "string", "minLength": 1}},
    "required": ["secret"],
    "additionalProperties": False,
}

NoComments = BeforeValidator(without_comments)
"""For maps with free keys: keys that are comments are left out."""


def choice(*words: str) -> Any:
    """One of these words, in capitals or small letters; given back as spelled here."""
    by_lower = {word.lower(): word for word in words}

    def read(value: object) -> object:
        return by_lower.get(value.lower(), value) if isinstance(value, str) else value

    return BeforeValidator(read)
