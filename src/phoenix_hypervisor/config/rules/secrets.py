"""Named secrets: each has a value, which is only asked for when a guest is configured."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.named import named
from phoenix_hypervisor.model.errors import SecretMissing
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Secrets without a value, each told once; where that can't be told, why, once."""
    if folder.known_secrets is None:
        return
    seen: set[str] = set()
    told: set[str] = set()
    for document, place, name in named(folder):
        if name in seen:
            continue
        seen.add(name)
        try:
            if not folder.known_secrets(name):
                hint = f"`phoenix secrets set {name}`, or the environment variable of that name"
                message = f"the secret {name} has no value yet"
                yield document.problem("warning", place, message, hint)
        except SecretMissing as error:
            if error.message not in told:
                told.add(error.message)
                message = f"the secret {name} may have no value: {error.message}"
                yield document.problem("warning", place, message, error.hint)
