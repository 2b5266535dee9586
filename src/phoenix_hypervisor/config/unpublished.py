"""Routes that nobody publishes, since no guest has the feature that does."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.sure import Sure
from phoenix_hypervisor.model.problem import Problem

PUBLISHERS = ("nginx", "traefik")


def unpublished(folder: Folder, sure: Sure) -> Iterator[Problem]:
    """One warning, at the first route; none while it isn't known what runs where."""
    running = [entry for entry in folder.guests if not entry.rests]
    if not sure.knows_all_options or any(
        name in PUBLISHERS for entry in running for name in entry.words.features
    ):
        return
    first = next((entry for entry in running if entry.words.routes), None)
    if first is not None:
        message = "no guest has the feature `nginx`, so nobody publishes the routes"
        hint = 'add "nginx" to the `features` of the guest that is to answer, or remove the routes'
        yield first.spot.warning(("routes", 0), message, hint)
