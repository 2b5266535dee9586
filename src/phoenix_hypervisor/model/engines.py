"""Which model servers a guest has: those that its features run, and those that its routes tell."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.serving import Engine

FindEngines = Callable[[Any, Guest, Desired], Sequence[Engine]]
"""As `Feature.engines`, whose options differ from feature to feature."""


def engines_of(
    guest: Guest, desired: Desired, asks: Mapping[str, FindEngines]
) -> tuple[Engine, ...]:
    """All model servers of a guest. `asks` maps names of features to their `engines`."""
    run = [
        engine
        for use in guest.features
        if use.name in asks
        for engine in asks[use.name](use.options, guest, desired)
    ]
    told = [route.llm.engine for route in guest.routes if route.llm and route.llm.engine]
    return (*run, *told)
