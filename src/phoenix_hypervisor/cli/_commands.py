"""Finds the commands by their files, and imports one only when it is asked for.

A command must not pay for those that nobody runs.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

import phoenix_hypervisor.cli as package

_FIRST = ("init", "validate", "plan", "apply", "destroy", "status", "check")


class Commands(TyperGroup):
    """The command line with every command that has a file here."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        found: Any = _Found()  # read only, though Typer's own is not
        self.commands = found


class _Found(Mapping[str, Any]):
    """Commands by name, the usual way through them first; each is built when it is looked up."""

    def __init__(self) -> None:
        self._modules: dict[str, str] | None = None
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(name, self._known()[name])
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, str]:
        """Names to modules. `exec_` is the command `exec`, a word that Python keeps."""
        if self._modules is None:
            files = {one.name for one in pkgutil.iter_modules(package.__path__)} - {"main"}
            names = {file.rstrip("_"): file for file in files if not file.startswith("_")}
            order = sorted(names, key=lambda n: (_FIRST.index(n) if n in _FIRST else 99, n))
            self._modules = {name: names[name] for name in order}
        return self._modules


def _build(name: str, file: str) -> Any:
    """The function named as its file becomes a command; a `typer.Typer`, a group of commands."""
    module = importlib.import_module(f"{package.__name__}.{file}")
    found = getattr(module, name, None) or getattr(module, file)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name, **getattr(module, "SETTINGS", {}))(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command
