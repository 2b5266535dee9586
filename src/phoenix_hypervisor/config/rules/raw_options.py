"""Raw lines of LXC's configuration and raw options of `pct`: they have the form that is read."""

from collections.abc import Iterator

from phoenix_hypervisor.config import pct, told
from phoenix_hypervisor.config.folder import Entry, Folder
from phoenix_hypervisor.config.raw import read_line
from phoenix_hypervisor.config.words.lxc import Container
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
        yield from _pct(guest)


def _pct(guest: Entry[Container]) -> Iterator[Problem]:
    for index, line in enumerate(guest.words.pct_options):
        place = ("pct_options", index)
        pair = pct.read_option(line)
        if pair is None:
            message = f"`{line}` is not an option of pct"
            yield guest.spot.error(place, message, "it looks like key=value, or --key value")
        elif pair[0] in pct.OWN_WORDS:
            message = f"`{line}` is not used: Phoenix has a word for it"
            yield guest.spot.warning(place, message, f"use {pct.OWN_WORDS[pair[0]]}")
        elif not pct.is_known(pair[0]):
            hint = told.did_you_mean(pair[0], sorted(pct.KNOWN | set(pct.FEATURES)))
            message = (
                f"`{pair[0]}` is no option of pct that Phoenix knows: it is passed on as it is"
            )
            yield guest.spot.warning(place, message, hint)
