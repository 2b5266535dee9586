"""The restart of the node that a change needs: only with `--allow-reboot`, and waited for.

Without it all is prepared, and every plan goes on showing the restart as outstanding.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from phoenix_hypervisor.host.part import Choice, Decided, Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError, TimedOut
from phoenix_hypervisor.model.node import Node

ADDRESS = Address("host/restart")
WITHOUT_LEAVE = "only with --allow-reboot"
_ESTIMATE_S = 240.0
_LIMIT_S = 1200.0
_PAUSE_S = 2.0
_BOOT = "/proc/sys/kernel/random/boot_id"
_MARK = f"cat {_BOOT} && cut -d' ' -f22 /proc/1/stat"
"""What a boot has of its own: the kernel's id and, of a container, the start of its init."""
_STATE = "systemctl is-system-running"
_SETTLED = ("running", "degraded", "maintenance")
_RESTART = "setsid sh -c 'sleep 2; systemctl reboot' < /dev/null > /dev/null 2>&1 &"


async def decided(node: Node, found: Sequence[Decided], choice: Choice) -> Decided:
    """The one restart that all these decisions need, after all that is done for it."""
    tasks = [task for each in found for task in each.tasks if task.restarts]
    reasons = [*(why for each in found for why in each.restarts), *(t.restarts for t in tasks)]
    if not reasons:
        return Decided()
    told = f"the node restarts, with all guests: {'; '.join(dict.fromkeys(reasons))}"
    here = choice.reboot and await is_here(node)
    if not choice.reboot:
        told = f"{WITHOUT_LEAVE}: {told}"
    elif here:
        told = f"restart it yourself, since Phoenix runs on it, and then run this again: {told}"
    task = Task(
        ADDRESS,
        Action.UPDATE,
        (),
        told,
        Impact.RESTART,
        tuple(task.address for each in found for task in each.tasks if not task.left_out),
        _ESTIMATE_S,
        left_out=here or not choice.reboot,
    )
    return Decided((task,))


async def make(node: Node, tell: Tell) -> None:
    """Restarts the node and returns when it answers again. Raises `TimedOut` after 20 minutes."""
    before = await _mark(node)
    tell("restarting the node")
    said = await node.run(_RESTART, "restart of the node, as --allow-reboot allows")
    if said.status:
        raise ConfigureFailed("the node can't be restarted", detail=said.err)
    begin, seen = time.monotonic(), before
    while seen == before:
        if time.monotonic() - begin > _LIMIT_S:
            raise TimedOut(
                f"the node did not come back within {_LIMIT_S / 60:.0f} minutes",
                hint="look at its console; what was prepared stays, and the next apply goes on",
            )
        await asyncio.sleep(_PAUSE_S)
        seen = await _now(node) or before
    tell(f"the node is back after {time.monotonic() - begin:.0f} s")


async def _mark(node: Node) -> str:
    said = await node.run(_MARK, "which boot of the node it is")
    if said.status:
        raise ConfigureFailed("which boot of the node it is can't be seen", detail=said.err)
    return said.out


async def _now(node: Node) -> str | None:
    """The boot that answers now, by the shell and by the API; None: it has not started all yet.

    A unit that failed there is told by what needs it.
    """
    try:
        mark = await asyncio.wait_for(_mark(node), 60.0)
        state = await node.run(_STATE, "whether the node has started all")
        if state.out.strip() not in _SETTLED:
            return None
        if node.is_pve:
            await node.get("/version")
    except (PhoenixError, TimeoutError):
        return None
    return mark


async def is_here(node: Node) -> bool:
    """Whether the node is the very machine that this process runs on."""
    try:
        own = Path(_BOOT).read_text() + Path("/proc/1/stat").read_text().split(" ")[21] + "\n"
    except OSError:  # not a machine with Linux
        return False
    return await _mark(node) == own
