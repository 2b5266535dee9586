"""Drivers are found by their module's name, without importing them and without a registry.

A driver is a module or package of this folder that offers `connect(target, stack, **kw)`, which
gives a `model.driver.Driver`. Only the one that is used is imported, so that `sim` never pays
for an HTTP library; the other modules here are helpers that several drivers share.
"""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path

from phoenix_hypervisor.model.desired import Target
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import SecretMissing, UsageError

Reveal = Callable[[str], str]
"""Gives a named secret's value, or raises `SecretMissing`."""


def no_secrets(name: str) -> str:
    """Where there are none. Raises `SecretMissing`."""
    raise SecretMissing(f"the secret {name} has no value")


def chosen(target: Target, on: str | None, given: Mapping[str, object] | None = None) -> str:
    """The driver's name: the command line's, the files', or what fits the place.

    An endpoint on the command line (`given`) is Proxmox VE's, whatever the files say.
    """
    asked = on or ("proxmox" if given and given.get("endpoint") else target.driver)
    if asked:
        return asked
    return "proxmox" if target.endpoint or Path("/etc/pve").is_dir() else "incus"


def available() -> dict[str, str]:
    """The drivers: name to module path, sorted by name."""
    modules = {info.name: f"{__name__}.{info.name}" for info in pkgutil.iter_modules(__path__)}
    return {name: path for name, path in sorted(modules.items()) if _offers_connect(path)}


def open_driver(
    name: str,
    target: Target,
    stack: str,
    *,
    environ: Mapping[str, str],
    folder: Path,
    reveal: Reveal = no_secrets,
) -> Driver:
    """The driver `name`, not yet connected (enter it with `async with`).

    `environ` stands for the process's environment and `folder` for the files' folder; `reveal`
    gives a named secret's value. Raises `UsageError` for a name that is not there.
    """
    known = available()
    if name not in known:
        raise UsageError(f"there is no driver `{name}`", hint=f"known ones: {', '.join(known)}")
    driver: Driver = importlib.import_module(known[name]).connect(
        target, stack, environ=environ, folder=folder, reveal=reveal
    )
    return driver


def _offers_connect(module: str) -> bool:
    """Whether the module's source defines or imports `connect` at its top; imports nothing."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return False
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "connect":
            return True
        if isinstance(node, ast.ImportFrom) and any(
            "connect" in (alias.asname, alias.name) for alias in node.names
        ):
            return True
    return False
