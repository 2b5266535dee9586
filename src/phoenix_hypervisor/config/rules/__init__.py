"""What needs more than one word to judge: one small file for each concern.

Every module here has a function `find(folder)` that gives problems; a new rule is a new file.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def problems(folder: Folder) -> Iterator[Problem]:
    """The problems that all rules find."""
    for module in iter_modules(__path__):
        yield from import_module(f"{__name__}.{module.name}").find(folder)
