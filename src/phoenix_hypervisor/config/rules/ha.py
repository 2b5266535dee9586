"""High availability: the cluster must not carry a guest away from where the files want it."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Guests whose `node` is none of those that HA may use, and templates under HA."""
    for guest in folder.guests:
        words = guest.words
        if words.ha is None:
            continue
        if words.node is not None and words.ha.nodes and words.node not in words.ha.nodes:
            message = f"{guest.label} is to live on {words.node}, but HA moves it to another node"
            yield guest.spot.error(("ha", "nodes"), message, f"add {words.node} to `ha.nodes`")
        for index, node in enumerate(words.ha.nodes):
            if node in words.ha.nodes[:index]:
                yield guest.spot.error(("ha", "nodes", index), f"{node} is named twice")
        if guest.rests:
            message = f"{guest.label} is a template, which does not run: HA has nothing to do"
            yield guest.spot.warning(("ha",), message, "remove `ha`", key=True)
