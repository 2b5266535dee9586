"""Docker stacks: their folders are there, and something runs them."""

from collections.abc import Iterator

from phoenix_hypervisor.config import lookup
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem

_NAMES = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")


def find(folder: Folder) -> Iterator[Problem]:
    """Stacks without a compose file, and stacks of a machine that has no Docker."""
    for guest in folder.machines:
        if guest.words.docker_stacks and "docker" not in guest.words.features:
            message = "`docker_stacks` asks for nothing without the feature `docker`"
            hint = 'add "docker" to `features`'
            yield guest.spot.warning(("docker_stacks",), message, hint, key=True)
        for index, stack in enumerate(guest.words.docker_stacks):
            files = (f"{stack.name}/{name}" for name in _NAMES)
            if not any(lookup.find(folder.path, file, lookup.STACKS) for file in files):
                compose = f"{stack.name}/{_NAMES[0]}"
                message = f"the stack `{stack.name}` has no docker-compose.yml"
                hint = f"looked for stacks/{compose} and ../stacks/{compose}"
                yield guest.spot.warning(("docker_stacks", index), message, hint)
