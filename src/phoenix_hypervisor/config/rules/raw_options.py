"""Raw lines of LXC's configuration: they have the form that LXC reads."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.raw import read_line
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Lines that are none, and such with `:` for `=`, which are read as meant."""
    for guest in folder.containers:
        for index, line in enumerate(guest.words.lxc_options):
            place = ("lxc_options", index)
            pair = read_line(line)
            if pair is None:
                message = f"`{line}` is not a line of LXC's configuration"
                yield guest.spot.error(place, message, "it looks like lxc.key=value")
            elif "=" not in line or line.index("=") > len(pair[0]) + 2:
                message = f"`{line}` has `:` where `=` belongs"
                yield guest.spot.warning(place, message, f"write {pair[0]}={pair[1]}")
