"""The host's parts are found by their file's name, so that adding one edits no list.

Every module here that has a `PART` is one: it says what is wanted of it, looks at the node, decides
what is to be done, and does it. What is installed on the host is a feature as in a guest
(`Feature.for_host`).
"""

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from phoenix_hypervisor.host.part import Part


@cache
def parts() -> Sequence[Part]:
    """All parts, in the order in which they are worked on."""
    modules = (
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    )
    found: list[Part] = [module.PART for module in modules if hasattr(module, "PART")]
    return sorted(found, key=lambda part: (part.turn, part.name))
