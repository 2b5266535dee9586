"""Ranges that replicas get their ids and addresses from."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from phoenix_hypervisor.config.ip import ip_address
from phoenix_hypervisor.config.words.base import wrong

MOST_REPLICAS = 64
_WIDEST = 1024
_IDS = re.compile(r"\s*([0-9]{1,9})\s*-\s*([0-9]{1,9})\s*")


def _ids(text: str) -> str:
    found = _IDS.fullmatch(text)
    if found is None:
        raise wrong(f"`{text}` is not a range of ids", "such as 950-959")
    return _range(int(found[1]), int(found[2]), "{}".format)


def _ips(text: str) -> str:
    try:
        first, last = (ip_address(part.strip()) for part in text.split("-"))
    except ValueError:
        raise wrong(
            f"`{text}` is not a range of addresses", "such as 10.0.0.50-10.0.0.59"
        ) from None
    if first.version != last.version:
        raise wrong(f"`{text}` mixes IPv4 and IPv6", "such as 10.0.0.50-10.0.0.59")
    kind = type(first)
    return _range(int(first), int(last), lambda number: str(kind(number)))


def _range(first: int, last: int, shown: Callable[[int], str]) -> str:
    if last < first:
        hint = f"write {shown(last)}-{shown(first)}"
        raise wrong(f"the range `{shown(first)}-{shown(last)}` ends before it starts", hint)
    if last - first >= _WIDEST:
        raise wrong(f"the range is too wide: {last - first + 1}", f"at most {_WIDEST}")
    return f"{shown(first)}-{shown(last)}"


IdRange = Annotated[str, AfterValidator(_ids)]
IpRange = Annotated[str, AfterValidator(_ips)]
