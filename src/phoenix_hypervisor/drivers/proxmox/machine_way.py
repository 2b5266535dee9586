"""Ways into virtual machines: SSH as root, with a key that Phoenix made.

The connection goes through the machine's node, so that its network need not be reachable from
here. cloud-init brings the public half of the key into the machine. Source: ssh_config(5).
"""

import asyncio
import shlex
from ipaddress import IPv4Address, IPv6Address, ip_address

from phoenix_hypervisor.drivers import script
from phoenix_hypervisor.drivers.proxmox import kinds
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.property import parse
from phoenix_hypervisor.drivers.proxmox.seeds import Seeds
from phoenix_hypervisor.drivers.proxmox.state import State, url
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import DriverError, PhoenixError, TimedOut

_READY_S = 280.0
_POLL_S = 2.0
_AGENT_S = 10.0
_CONSOLE_S = 60.0
_WAIT = "! command -v cloud-init >/dev/null || cloud-init status --wait >/dev/null || true"


class Machines:
    """The ways into the virtual machines of one folder."""

    def __init__(self, api: Api, channels: Channels, seeds: Seeds) -> None:
        self._api = api
        self._channels = channels
        self._seeds = seeds

    async def way_in(self, now: State) -> tuple[str, ...]:
        """An argument vector that starts a POSIX shell as root."""
        return (*await self._ssh(now, "-T"), "sh")

    async def terminal(self, now: State) -> tuple[str, ...]:
        """The same with a terminal."""
        return await self._ssh(now, "-t")

    async def ready(self, guest: Guest, now: State, tell: Tell) -> None:
        """Waits until one can log in and cloud-init has done its work, and brings what its
        documents say now to a machine that read older ones. Raises `TimedOut`.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + _READY_S
        why = "no address is known"
        while clock() < end:
            try:
                status, why = await self._try(now)
            except PhoenixError as error:
                status, why = -1, error.message
            if status == 0:
                await self.bring(guest, now, tell)
                return
            last = why.strip().splitlines()[-1:] or ["cloud-init works"]
            tell(f"waiting until one can log in: {last[0]}")
            await asyncio.sleep(_POLL_S)
        raise TimedOut(
            f"{now.address}: nobody could log in, or cloud-init was not done, in {_READY_S:.0f} s",
            hint=f"{why.strip()}; the key is in `.phoenix/ssh` of the folder that made it: "
            f"without it nobody gets in; `phoenix logs {now.address}` shows its console",
        )

    async def bring(self, guest: Guest, now: State, tell: Tell) -> None:
        """Users, keys, packages and mounts of the documents, in the running machine."""
        failure = f"{now.address}: not all that cloud-init is told could be done"
        await script.must(await self.way_in(now), self._seeds.live(guest), failure, _READY_S)

    async def addresses(self, now: State) -> list[str]:
        """The fixed addresses; with DHCP those that the guest agent tells, if it answers."""
        fixed = kinds.static_addresses(now)
        if fixed:
            return fixed
        try:
            async with asyncio.timeout(_AGENT_S):
                told = await self._api.get(
                    url(now.node, now.address, "agent", "network-get-interfaces")
                )
        except (DriverError, TimeoutError):
            return []  # no agent (yet): nothing is known
        found = [
            address
            for card in told.get("result", ())
            if card.get("name") != "lo"
            for entry in card.get("ip-addresses", ())
            # The machine's own words, which come to stand in a command of root on the node.
            if (address := _address(entry.get("ip-address"))) is not None
        ]
        found.sort(key=lambda each: (each.version, str(each)))
        return [str(each) for each in found if not each.is_link_local]

    async def console(self, now: State, lines: int) -> str:
        """The end of the boot's journal, read inside."""
        said = await script.run(
            await self.way_in(now),
            f"journalctl --boot --no-pager --lines={int(lines)}",
            f"the journal of {now.address}",
            _CONSOLE_S,
        )
        return said.out or said.err

    async def _try(self, now: State) -> tuple[int, str]:
        said = await script.run(await self.way_in(now), _WAIT, "cloud-init's own work", _READY_S)
        return said.status, said.err

    async def _ssh(self, now: State, terminal: str) -> tuple[str, ...]:
        key = self._seeds.key
        key.text()
        addresses = await self.addresses(now)
        if not addresses:
            raise DriverError(
                f"{now.address} has no address that is known",
                hint="give it a fixed one, or let its image hold qemu-guest-agent",
            )
        channel = self._channels.of(now.node)
        channel.used.add(now.node, f"the way to {now.address}")
        host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        through = shlex.join(channel.inside("socat", "-", f"TCP:{host}:22"))
        # Made anew, a machine has another identity and other host keys.
        identity = parse(str(now.config.get("smbios1", ""))).get("uuid", str(now.vmid))
        options = {
            "ProxyCommand": through.replace("%", "%%"),
            "IdentityFile": str(key.private),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(key.folder / "known_hosts"),
            "HostKeyAlias": f"phoenix-{now.vmid}-{identity}",
            "StrictHostKeyChecking": "accept-new",
            "BatchMode": "yes",
            "ConnectTimeout": "20",
            "LogLevel": "ERROR",
        }
        told = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return ("ssh", terminal, *told, f"root@{addresses[0]}")


def _address(text: object) -> IPv4Address | IPv6Address | None:
    """An address without a zone; None for a text that is none."""
    try:
        return ip_address(str(text).partition("%")[0])
    except ValueError:
        return None
