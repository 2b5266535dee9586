"""Scripts in a virtual machine by its QEMU guest agent: the way into one that has no network.

Source: the Proxmox VE API documentation, `/nodes/{node}/qemu/{vmid}/agent`: `exec` answers a
number at once, `exec-status` tells later how that command ended.
"""

import asyncio
import math

from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.api.paths import Each
from phoenix_hypervisor.drivers.proxmox.state import State, url
from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Denied, DriverError, PhoenixError, TimedOut

_READY_S = 300.0
_SETTLED_S = 180.0
_POLL_S = 0.5
_GRACE_S = 10.0
_MOST_INPUT = 64 * 1024
_OUT_OF_TIME = 124  # of timeout(1)
# With its link down, a machine may wait two minutes for its network.
_SETTLE = "systemctl is-system-running --wait >/dev/null 2>&1 || true"


async def ready(api: Api, now: State, tell: Tell) -> None:
    """Returns when the machine's agent answers and its services had their time to start.

    Raises `TimedOut`, and `Denied` where the API's user may not use the agent.
    """
    tell("waiting for its guest agent")
    clock = asyncio.get_running_loop().time
    end = clock() + _READY_S
    while True:
        try:
            await api.post(url(now.node, now.address, "agent", "ping"))
            break
        except Denied:
            raise
        except PhoenixError as error:
            if clock() > end:
                raise TimedOut(
                    f"{now.address}: its guest agent has not answered for {_READY_S:.0f} s",
                    hint="its image needs qemu-guest-agent, and `agent` in the files",
                ) from error
        await asyncio.sleep(_POLL_S)
    try:
        await run(api, now, _SETTLE, _SETTLED_S)
    except TimedOut:
        tell("its services still start")


async def run(api: Api, now: State, script: str, timeout_s: float, stdin: bytes = b"") -> Said:
    """Runs a script of POSIX shell as root in the machine.

    Raises `TimedOut`, after which the script is ended there too, `Denied`, and `DriverError` where
    the agent does not take it.
    """
    if len(stdin) > _MOST_INPUT:
        raise DriverError(f"{now.address}: its guest agent takes no input of {len(stdin)} bytes")
    command = Each(("timeout", str(math.ceil(timeout_s)), "sh", "-c", script))
    given = {"input-data": stdin.decode()} if stdin else {}
    where = url(now.node, now.address, "agent")
    begun = await api.post(f"{where}/exec", command=command, **given)
    clock = asyncio.get_running_loop().time
    end = clock() + timeout_s + _GRACE_S
    pause_s = 0.05
    while clock() < end:
        told = await api.get(f"{where}/exec-status", pid=begun["pid"])
        if told.get("exited"):
            status = int(told.get("exitcode", 128 + int(told.get("signal", 0))))
            if status == _OUT_OF_TIME:
                break
            return Said(status, str(told.get("out-data", "")), str(told.get("err-data", "")))
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _POLL_S)
    raise TimedOut(f"{now.address}: no answer of the guest agent in {timeout_s:.0f} s")
