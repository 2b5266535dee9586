"""Types of single values that Proxmox VE, SSH and cloud-init bring along."""

import re
import shlex
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, TypeAdapter, WithJsonSchema

from phoenix_hypervisor.config.words.base import wrong
from phoenix_hypervisor.config.words.values import Text, Url, shaped

_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_PCI = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?)", re.IGNORECASE)
_URL: TypeAdapter[str] = TypeAdapter(Url)


def _checksum(text: str) -> str:
    kind, _, digits = text.lower().partition(":")
    if kind not in _DIGITS or not re.fullmatch(r"[0-9a-f]+", digits):
        hint = "the kind and hexadecimal digits, such as sha256:9f86d0…"
        raise wrong(f"`{text}` is not a checksum", hint)
    if len(digits) != _DIGITS[kind]:
        hint = f"{kind} has {_DIGITS[kind]} digits, these are {len(digits)}"
        raise wrong("the checksum is cut off or too long", hint)
    return f"{kind}:{digits}"


Checksum = Annotated[str, AfterValidator(_checksum)]
"""`sha256:`, `sha384:` or `sha512:` and hexadecimal digits."""


def _template(text: str) -> str:
    if "://" in text:
        _URL.validate_python(text)
    return text


Template = Annotated[Text, AfterValidator(_template)]
"""A template's name, file name or volume, or a web address."""


def _fingerprint(text: str) -> str:
    digits = text.replace(":", "").replace(" ", "").upper()
    if not re.fullmatch(r"[0-9A-F]+", digits):
        hint = "64 hexadecimal digits, with or without colons, such as 3B:0C:…"
        raise wrong(f"`{text}` is not a fingerprint", hint)
    if len(digits) != _DIGITS["sha256"]:
        hint = f"a SHA-256 has 64 hexadecimal digits, these are {len(digits)}"
        raise wrong("the fingerprint is not a SHA-256", hint)
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
"""32 pairs of hexadecimal digits; given back in capitals with colons, as `pvenode cert info`."""

Account = Annotated[
    str,
    shaped(
        r"[^\s:/!@]+@[A-Za-z][A-Za-z0-9._-]+",
        "a user of Proxmox VE",
        "a name and a realm, such as root@pam",
    ),
]
TokenId = Annotated[
    str,
    shaped(
        r"[^\s:/!@]+@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+",
        "the id of an API token",
        "a user, a realm and the token's name, such as phoenix@pve!laptop",
    ),
]


def pci_address(text: str) -> str | None:
    """A card's address with its domain, in small letters; None where it is none."""
    match = _PCI.fullmatch(text.strip())
    return f"{match[1] or '0000'}:{match[2]}".lower() if match else None


def _pci(text: str) -> str:
    address = pci_address(text)
    if address is None:
        hint = "as `lspci -D` shows it, such as 0000:01:00 or 0000:01:00.0"
        raise wrong(f"`{text}` is not a PCI address", hint)
    return address


PciAddress = Annotated[str, AfterValidator(_pci)]
MappingName = Annotated[
    str,
    shaped(
        r"[A-Za-z][A-Za-z0-9_-]{1,127}",
        "the name of a PCI mapping",
        "a letter first, then letters, digits, - and _",
    ),
]


def _device(value: object) -> object:
    if not isinstance(value, str):
        return value
    return {"address": value} if ":" in value else {"mapping": value}


DEVICE = BeforeValidator(_device)
"""For a card that may also be written as the text of its mapping or address."""


def _command(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        hint = "quotes come in pairs; or write a list of arguments"
        raise wrong(f"can't be taken apart: {str(error).lower()}", hint) from None


Command = Annotated[
    list[Text],
    BeforeValidator(_command),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A command as a shell would take it apart, or a list of arguments."""

Package = Annotated[
    str,
    shaped(
        r"[a-z0-9][a-z0-9+.-]+",
        "the name of a package",
        "small letters, digits, + - and . only, such as qemu-guest-agent",
    ),
]
CpuType = Annotated[
    str, shaped(r"[A-Za-z0-9][A-Za-z0-9_.,=+-]*", "a type of CPU", "such as host or x86-64-v3")
]
MachineType = Annotated[
    str,
    shaped(
        r"pc|q35|pc-(?:i440fx|q35)-[0-9]+(?:\.[0-9]+)+(?:\+pve[0-9]+)?",
        "a type of machine",
        "q35 or pc",
    ),
]
DevicesSchema: dict[str, Any] = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"mapping": {"type": "string"}, "address": {"type": "string"}},
                "additionalProperties": False,
            },
        ]
    },
}
