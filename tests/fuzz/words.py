"""What must hold for any text as a single word of the files: refused in our own words, or read,
and then read again as itself.
"""

import re

from pydantic import TypeAdapter, ValidationError
from tests.fuzz.reading import Watch

from phoenix_hypervisor.app.naming import pick as pick_guest
from phoenix_hypervisor.config import pct
from phoenix_hypervisor.config.words import values
from phoenix_hypervisor.drivers.proxmox import marks
from phoenix_hypervisor.drivers.proxmox import property as properties
from phoenix_hypervisor.features import _words as feature_words
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import UsageError

_OF_FILES = (
    "Text", "HostName", "BridgeName", "StorageName", "SnapshotName", "LoginName", "AbsolutePath",
    "Url", "RoutePath", "StackName", "ProjectName", "TimeZone", "Properties", "Mac", "Ip", "Server",
    "Cidr", "Address", "Ips", "GuestId", "PortRanges", "Served", "Gpus", "Networks",
)  # fmt: skip
_OF_FEATURES = (
    "Name", "UserName", "HostName", "RelativePath", "FolderBelow", "AbsolutePath", "PackageName",
    "PlainText", "Hosts",
)  # fmt: skip
_TYPES = {name: TypeAdapter(getattr(values, name)) for name in _OF_FILES}
_TYPES |= {f"feature {name}": TypeAdapter(getattr(feature_words, name)) for name in _OF_FEATURES}
_SAME_TYPE = {"Gpus", "Served"}
"""What is read as something else than text, and so is not read again."""

_NAMES = ("HostName", "BridgeName", "StorageName", "SnapshotName", "LoginName", "Mac")


def any_word(text: str) -> list[str]:
    """The names of the types that take the text."""
    taken = [name for name in _TYPES if _taken(name, text)]
    with Watch("the parsers"):
        option = pct.read_option(text)
        assert option is None or option[1]
        pct.options([text])
        pct.read_features([text])
        properties.text(properties.parse(text, "bare"), "bare")
        size = properties.size_gb(text)
        assert size is None or size >= 0
        tags = marks.Tags.read(text, 101)
        again = marks.Tags.read(tags.write(101), 101)
        assert {again.complete, tags.complete} != {True, False} or tags.stack is None
        marks.Notes.read(text, 101)
        marks.Notes.read(f"<!-- phoenix: {text} -->", 101)
        addresses.order(Address(text))
        _picked(text)
    return taken


def _taken(name: str, text: str) -> bool:
    with Watch(name):
        try:
            read = _TYPES[name].validate_python(text)
        except ValidationError:
            return False
    if name not in _SAME_TYPE:
        assert _TYPES[name].validate_python(read) == read, name
    if isinstance(read, str):
        assert "\0" not in read, name
        assert "\n" not in read, name
    if name in _NAMES:  # such a name is one word of a command line, and never an option
        assert re.fullmatch(r"[\w.:-]+", read, re.ASCII), name
        assert not read.startswith("-"), name
    if "Path" in name or name == "feature FolderBelow":
        assert ".." not in read.split("/") or name == "RoutePath", name
    return True


def _picked(text: str) -> None:
    try:
        pick_guest(text, [(Address("lxc/101"), "web"), (Address("lxc/²"), "x")], [])
    except UsageError as error:
        if "lxc/101" not in error.hint:
            raise AssertionError(error.hint) from error
