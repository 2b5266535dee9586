"""Docker stacks that stand beside a virtual machine's features, as options of `docker`."""

from typing import Any

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.vm import Machine

_WORD = "docker_stacks"


def options_of(words: Machine) -> tuple[dict[str, Any], dict[str, Pointer]]:
    """Options of `docker`, and where each was written.

    Files of old name stacks that are not there, which is a warning: so they are optional.
    """
    stacks = [
        {"name": stack.name, "environment": stack.environment, "optional": True}
        for stack in words.docker_stacks
    ]
    return ({"stacks": stacks}, {"stacks": (_WORD,)}) if stacks else ({}, {})


def place_of(words: Container | Machine, at: Pointer) -> Pointer | None:
    """Where a stack of `docker` was written, if that is beside the options."""
    if isinstance(words, Machine) and words.docker_stacks and at[:1] == ("stacks",):
        return (_WORD, *at[1:2])
    return None
