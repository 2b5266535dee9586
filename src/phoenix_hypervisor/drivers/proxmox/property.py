"""PVE's property strings, such as `name=eth0,bridge=vmbr0`, and its sizes, there and back.

Source: the Proxmox VE API documentation ("property string") and pve-common's `JSONSchema`.
"""

import re
from collections.abc import Mapping

_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)([KMGT]?)")
_MIB = {"": 1 / 1024**2, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


def parse(text: str, default_key: str = "") -> dict[str, str]:
    """The parts by key, in their order. A part without `=` is the value of `default_key`."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if equals:
            found[key.strip()] = value.strip()
        else:
            found[default_key] = part.strip()
    return found


def text(parts: Mapping[str, str | int | None], default_key: str = "") -> str:
    """The property string; parts that are None are left out, `default_key` stands first, bare."""
    given = {key: str(value) for key, value in parts.items() if value is not None}
    first = [given.pop(default_key)] if default_key in given else []
    return ",".join([*first, *(f"{key}={value}" for key, value in given.items())])


def size_gb(size: str | None) -> int | None:
    """Whole GiB of a size such as `8G`, `512M` (a part of one counts as one); None where none."""
    match = _SIZE.fullmatch(size or "")
    if match is None:
        return None
    return -int(-float(match[1]) * _MIB[match[2]] // 1024)


def flag(value: object) -> bool:
    """What PVE means by 0, 1, "0", "1", or nothing."""
    return str(value or 0) not in ("0", "", "no", "off", "false")


def indexed(config: Mapping[str, object], prefix: str) -> dict[str, str]:
    """The keys `net0`, `net1`, … with their values, by number."""
    start = len(prefix)
    found = [key for key in config if key.startswith(prefix) and key[start:].isdigit()]
    found.sort(key=lambda key: int(key[start:]))
    return {key: str(config[key]) for key in found}


def free(taken: Mapping[str, object], prefix: str) -> str:
    """The first such key that is not taken."""
    number = 0
    while f"{prefix}{number}" in taken:
        number += 1
    return f"{prefix}{number}"
