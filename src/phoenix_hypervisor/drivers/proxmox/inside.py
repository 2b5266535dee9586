"""The inside of guests, as far as the driver goes: ways in, addresses, and when they are ready.

Containers are reached by `lxc-attach` on their node, virtual machines by SSH with a key that
Phoenix made.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import unquote

from phoenix_hypervisor.drivers import script
from phoenix_hypervisor.drivers.proxmox import kinds, look, machine_way
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.guests import Guests
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.node.inside import Inside as Containers
from phoenix_hypervisor.drivers.proxmox.seeds import Seeds
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, TimedOut

_READY_S = 180.0
_ADDRESS_S = 60.0
_POLL_S = 0.3
# Waits until the init system has started everything; a container without one is ready at once.
# A service that takes too long does not make a guest unusable: it is told, and checks decide.
_READY = """\
i=0
while [ $i -lt 1500 ]; do
  case "$(systemctl is-system-running 2>/dev/null)" in running|degraded) exit 0;; esac
  [ -d /run/systemd/system ] || [ $i -lt 50 ] || exit 0
  i=$((i+1)); sleep 0.1
done
systemctl list-jobs --no-pager --no-legend
systemctl --quiet is-active basic.target
"""
_CONSOLE = """\
lxc-attach -n {id} -- journalctl --boot --no-pager --lines={lines} 2>/dev/null ||
  tail -n {lines} /var/log/lxc/{id}.log 2>/dev/null || true
"""


class Inside:
    """What the driver does inside the guests of one stack."""

    def __init__(self, api: Api, channels: Channels, guests: Guests, seeds: Seeds) -> None:
        self._api = api
        self._channels = channels
        self._guests = guests
        self._seeds = seeds
        self._containers: dict[str, Containers] = {}
        self._machines = machine_way.Machines(api, channels, seeds)

    async def ready(self, guest: Guest, now: State, tell: Tell) -> None:
        """Waits until the guest can be worked in and has an address. Raises `TimedOut`."""
        tell("waiting for the init system")
        if not kinds.is_container(now) and _is_closed(guest, now, self._seeds.key.text()):
            return
        if not kinds.is_container(now):
            await self._machines.ready(guest, now, tell)
            return
        for job in (await self._run(now, _READY, _READY_S)).splitlines():
            tell(f"not up yet: {' '.join(job.split())}")
        if any(nic.address for nic in guest.nics):
            await self._addressed(now, tell)

    async def addresses(self, now: State, *, running: bool) -> list[str]:
        """The guest's addresses now; of a machine with DHCP as its agent tells them."""
        if not running:
            return []
        if not kinds.is_container(now):
            return await self._machines.addresses(now)
        return await look.ips(self._api, now)

    async def bring(self, guest: Guest, now: State, tell: Tell) -> None:
        """What a running machine's documents say now, in the machine; nothing for others."""
        if not kinds.is_container(now) and await self._guests.runs(now):
            tell("bringing users, keys, packages and mounts into the machine")
            await self._machines.bring(guest, now, tell)

    async def way_in(self, now: State) -> Sequence[str]:
        """Starts a POSIX shell as root in the guest. Raises `Conflict` where it doesn't run."""
        if not await self._guests.runs(now):
            raise Conflict(f"{now.address} does not run", hint="`phoenix apply` starts it")
        if not kinds.is_container(now):
            return await self._machines.way_in(now)
        return await self._of(now).way_in(now.vmid)

    async def terminal(self, now: State) -> Sequence[str]:
        """Gives a person a shell in the guest."""
        if not kinds.is_container(now):
            return await self._machines.terminal(now)
        return await self._of(now).terminal(now.vmid)

    async def console(self, now: State, lines: int) -> str:
        """The end of the boot's journal, or of LXC's log where there is none."""
        if not kinds.is_container(now):
            return await self._machines.console(now, lines)
        script = _CONSOLE.format(id=now.vmid, lines=int(lines))
        answer = await self._channels.of(now.node).run(script, f"the console of {now.address}")
        return answer.said().out

    def _of(self, now: State) -> Containers:
        if now.node not in self._containers:
            self._containers[now.node] = Containers(self._channels.of(now.node))
        return self._containers[now.node]

    async def _run(self, now: State, text: str, limit_s: float) -> str:
        way_in = await self._of(now).way_in(now.vmid)
        failure = f"{now.address} runs, but can't be worked in"
        return await script.must(way_in, text, failure, limit_s)

    async def _addressed(self, now: State, tell: Tell) -> None:
        wanted = set(kinds.static_addresses(now))
        found: list[str] = []
        clock = asyncio.get_running_loop().time
        end = clock() + _ADDRESS_S
        while clock() < end:
            rows = await self._api.get(look.interfaces(now))
            found = look.interface_addresses(rows or ())
            if wanted <= set(found) and found:
                return
            tell("waiting for its address")
            await asyncio.sleep(_POLL_S)
        missing = ", ".join(sorted(wanted - set(found))) or "from DHCP"
        raise TimedOut(f"{now.address} has no address {missing} after {_ADDRESS_S:.0f} s")


def _is_closed(guest: Guest, now: State, key: str) -> bool:
    """Whether a machine was taken over as it was: Phoenix has no key in it, and needs none."""
    ours = f"snippets/phoenix-{now.vmid}-" in str(now.config.get("cicustom") or "")
    has_key = ours or key in unquote(str(now.config.get("sshkeys") or ""))
    return not has_key and not guest.features and guest.script is None
