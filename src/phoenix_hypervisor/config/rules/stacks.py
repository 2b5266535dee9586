"""Docker stacks: their folders are there."""

from collections.abc import Iterator

from phoenix_hypervisor.config import lookup
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Stacks without a compose file."""
    for guest in folder.machines:
        for index, stack in enumerate(guest.words.docker_stacks):
            compose = f"{stack.name}/docker-compose.yml"
            if lookup.find(folder.path, compose, lookup.STACKS) is None:
                message = f"the stack `{stack.name}` has no docker-compose.yml"
                hint = f"looked for stacks/{compose} and ../stacks/{compose}"
                yield guest.spot.warning(("docker_stacks", index), message, hint)
