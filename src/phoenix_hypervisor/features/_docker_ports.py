"""The host's ports that a compose file publishes, as far as it says them in so many words.

Facts: docs.docker.com/reference/compose-file/services, `ports`, short and long syntax.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from phoenix_hypervisor.features import _docker_folder as folders
from phoenix_hypervisor.features._docker_options import Stack

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

_SHORT = re.compile(
    r"(?:(?P<ip>\[[0-9A-Fa-f:]+\]|[0-9.]+):)?(?P<first>\d+)(?:-(?P<last>\d+))?"
    r":(?P<inner>\d+)(?:-(?P<inner_last>\d+))?(?:/(?P<protocol>tcp|udp))?"
)


@dataclass(frozen=True, slots=True)
class Published:
    """One port of the guest. `address` is the only one where it is published; empty: all."""

    port: int
    address: str = ""
    protocol: Literal["tcp", "udp"] = "tcp"


def published(folder: Path, stack: Stack) -> list[Published]:
    """What the services of a stack publish, each once.

    Ports that compose or Docker chooses, and those with variables, are left out; so is all of a
    service that needs a profile which isn't wanted, and of files that can't be read.
    """
    import yaml

    found = folders.find(folder, stack.name)
    if found is None:
        return []
    path = found[0]
    ports: dict[Published, None] = {}
    for name in folders.compose_files({each.name for each in path.iterdir()}, stack):
        try:
            root = yaml.compose((path / name).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError):
            return []
        for service in _entries(_word(root, "services")):
            profiles = {_text(each) for each in _items(_word(service, "profiles"))}
            if not profiles or profiles & set(stack.profiles):
                ports |= dict.fromkeys(_of_service(service))
    return list(ports)


def _of_service(service: "Node") -> Iterator[Published]:
    for port in _items(_word(service, "ports")):
        if _is_map(port):
            told, address = _text(_word(port, "published")), _text(_word(port, "host_ip"))
            protocol = _text(_word(port, "protocol"))
            if told.isdecimal():
                yield Published(int(told), address.strip("[]"), _protocol(protocol))
        elif match := _SHORT.fullmatch(_text(port)):
            yield from _range(match)


def _range(match: re.Match[str]) -> Iterator[Published]:
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if match["last"] and not match["inner_last"]:
        return  # any one of these
    for port in range(first, last + 1):
        yield Published(port, (match["ip"] or "").strip("[]"), _protocol(match["protocol"]))


def _protocol(word: str | None) -> Literal["tcp", "udp"]:
    return "udp" if word == "udp" else "tcp"


def _is_map(node: "Node | None") -> bool:
    return node is not None and node.id == "mapping"


def _entries(node: "Node | None") -> Sequence["Node"]:
    return [value for _, value in node.value] if node is not None and _is_map(node) else []


def _items(node: "Node | None") -> Sequence["Node"]:
    """A list's; none where a tag such as `!reset` makes something else of it."""
    plain = node is not None and node.id == "sequence" and node.tag.startswith("tag:yaml.org")
    return list(node.value) if node is not None and plain else []


def _word(node: "MappingNode | Node | None", word: str) -> "Node | None":
    if node is None or not _is_map(node):
        return None
    return next((value for key, value in node.value if key.value == word), None)


def _text(node: "Node | None") -> str:
    return str(node.value) if node is not None and node.id == "scalar" else ""
