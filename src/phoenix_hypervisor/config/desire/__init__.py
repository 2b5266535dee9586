"""The words of the files become the desired state: defaults filled in, old spellings translated."""

from phoenix_hypervisor.config.desire.guests import guests
from phoenix_hypervisor.config.desire.host import host, target
from phoenix_hypervisor.config.desire.resources import bridges, pools
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.problem import Problem


def desire(folder: Folder, notes: tuple[Problem, ...]) -> Desired:
    """What a folder without errors asks for; `notes` are its warnings."""
    wanted = guests(folder)
    return Desired(
        folder=folder.path,
        stack=folder.host.hypervisor.stack or stack_name(folder.path.resolve().name),
        target=target(folder),
        host=host(folder),
        guests=wanted,
        pools=pools(folder, wanted.values()),
        bridges=bridges(folder, wanted.values()),
        notes=notes,
    )


def stack_name(name: str) -> str:
    """A folder's name as the mark of a stack: letters, digits, `.`, `_` and `-`, at most 63."""
    shown = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)
    return shown.strip("._-")[:63] or "phoenix"
