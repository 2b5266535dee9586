"""The words of the files become the desired state: defaults filled in, old spellings translated."""

import re
import unicodedata

from phoenix_hypervisor.config.desire.guests import guests
from phoenix_hypervisor.config.desire.host import host, target
from phoenix_hypervisor.config.desire.resources import bridges, pools
from phoenix_hypervisor.config.desire.watch import watch
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.desired import Desired


def desire(folder: Folder) -> Desired:
    """What a folder asks for, so far as its words could be read."""
    wanted = guests(folder)
    return Desired(
        folder=folder.path,
        stack=folder.host.hypervisor.stack or stack_name(folder.path.resolve().name),
        target=target(folder),
        host=host(folder),
        guests=wanted,
        pools=pools(folder, wanted.values()),
        bridges=bridges(folder, wanted.values()),
        watch=watch(folder),
    )


def stack_name(name: str) -> str:
    """A folder's name as the mark of a stack: small ASCII letters, digits and `-`, at most 63.

    Accents go, everything else becomes a dash: `My földer.1` is `my-folder-1`.
    """
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:63].strip("-") or "phoenix"
