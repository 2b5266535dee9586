"""NVIDIA's unified memory device on a node, which is only there after its first use.

A container gets its devices when it starts, so it has to be there before. Source: NVIDIA's driver
README, "Installing the NVIDIA Driver", nvidia-modprobe(1).
"""

from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.property import indexed, parse
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import PhoenixError

DEVICE = "/dev/nvidia-uvm"
SCRIPT = f"[ -e {DEVICE} ] || nvidia-modprobe -u -c=0"


async def ensure(channels: Channels, now: State, tell: Tell) -> None:
    """Makes it be there, for a container that is to have it; Proxmox VE tells where it isn't."""
    devices = indexed(now.config, "dev").values()
    if not any(parse(value, "path").get("path") == DEVICE for value in devices):
        return
    try:
        answer = await channels.of(now.node).run(SCRIPT, f"{DEVICE}, for containers with cards")
    except PhoenixError as error:
        tell(f"{DEVICE} can't be made on {now.node}: {error.message}")
        return
    if not answer.ok:
        tell(f"{DEVICE} can't be made on {now.node}: {answer.words(200)}")
