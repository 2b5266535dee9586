"""The Proxmox VE driver: the target that users have. Proxmox VE 8 and 9, a node or a cluster.

What the API can do goes over the API; what only root on the node may do goes through the node
channel (`node/`), and is listed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from phoenix_hypervisor.drivers.proxmox.driver import ProxmoxDriver
from phoenix_hypervisor.drivers.proxmox.open import api
from phoenix_hypervisor.model.desired import Target

__all__ = ["ProxmoxDriver", "connect"]


def connect(
    target: Target,
    stack: str,
    *,
    environ: Mapping[str, str],
    folder: Path,
    reveal: Callable[[str], str],
) -> ProxmoxDriver:
    """A driver for the cluster behind `hypervisor.endpoint`, or for this very node."""
    opened = api(target, folder, reveal)
    return ProxmoxDriver(target, stack, opened, environ=environ, folder=folder, reveal=reveal)
