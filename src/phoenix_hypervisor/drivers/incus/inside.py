"""The inside of a guest, as far as the driver goes: its files, its network, when it is ready.

Files are written through Incus's file API, which works on stopped guests too; the rest is a short
script that runs when the guest has started.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from phoenix_hypervisor.drivers import script as script_runs
from phoenix_hypervisor.drivers.incus import firewall, handover, look, names, network
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import NotFound, TimedOut
from phoenix_hypervisor.shell.leftovers import DRIVER, RUN_ENV

READY_LIMIT_S = 90
_POLL_S = 0.2
_NEW_CERTIFICATES = "/etc/phoenix/new-certificates"
# Waits for the init system, then does what could not be done while the guest was stopped.
_READY = f"""\
i=0
while [ $i -lt 600 ]; do
  case "$(systemctl is-system-running 2>/dev/null)" in running|degraded) break;; esac
  [ -d /run/systemd/system ] || [ $i -lt 50 ] || break
  i=$((i+1)); sleep 0.1
done
[ $i -lt 600 ] || exit 1
if [ -f {_NEW_CERTIFICATES} ]; then
  update-ca-certificates >/dev/null && rm {_NEW_CERTIFICATES}
fi
if [ -f {firewall.PATH} ] && ! systemctl --quiet is-active phoenix-firewall.service; then
  systemctl daemon-reload && systemctl enable --quiet --now phoenix-firewall.service
fi
"""
_RELOAD = f"""\
set -e
systemctl daemon-reload
networkctl reload
if [ -f {firewall.PATH} ]; then
  systemctl enable --quiet phoenix-firewall.service
  systemctl restart phoenix-firewall.service
else
  systemctl disable --quiet --now phoenix-firewall.service 2>/dev/null || true
fi
"""
_WHY_NO_ADDRESS = """\
networkctl status --no-pager --lines=20
systemctl --failed --no-pager --no-legend
"""


class Inside:
    """What the driver does inside the guests of one project."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.run_id = ""
        """Scripts bear it, so that the next run finds what a killed one left."""

    async def hand_over(self, address: Address, handed: handover.Handover) -> None:
        """Writes certificates and package sources; certificates are taken in at the next start."""
        await self._put(address, {**handed.files, _NEW_CERTIFICATES: b""})

    async def forget_identity(self, address: Address) -> None:
        """A clone boots with a machine id of its own: two with one id would share a DHCP lease."""
        await self._put(address, {"/etc/machine-id": b""})

    async def write_name(self, guest: Guest) -> None:
        """Writes the host name. Only where a guest is new: features write in these files too."""
        files = {"/etc/hostname": guest.name + "\n", "/etc/hosts": network.hosts(guest)}
        await self._put(guest.address, {path: text.encode() for path, text in files.items()})

    async def rename(self, guest: Guest, before: str) -> None:
        """Writes its new host name; what others wrote in `/etc/hosts` stays."""
        name = names.instance(guest.address)
        files = {"/etc/hostname": (guest.name + "\n").encode()}
        as_made = network.hosts(replace(guest, name=before)).encode()
        if await self._client.read_file(name, "/etc/hosts") == as_made:
            files["/etc/hosts"] = network.hosts(guest).encode()
        await self._put(guest.address, files)

    async def write_network(self, guest: Guest) -> None:
        """Writes network and firewall as the files say."""
        files = {network.unit_path(nic): network.unit(nic) for nic in guest.nics}
        # A link is systemd-resolved's, which learns the servers from the cards' own files.
        resolv, name = network.resolv_conf(guest), names.instance(guest.address)
        if resolv and not await self._client.is_link(name, "/etc/resolv.conf"):
            files["/etc/resolv.conf"] = resolv
        if guest.firewall is not None and guest.firewall.enabled:
            files[firewall.PATH] = firewall.ruleset(guest.firewall)
            files[firewall.UNIT_PATH] = firewall.UNIT
        else:
            await self._client.delete_file(name, firewall.PATH)
        await self._put(guest.address, {path: text.encode() for path, text in files.items()})

    async def reload(self, address: Address) -> None:
        """Makes a running guest take in what `write_network` wrote."""
        await self.run(address, _RELOAD, "loading network and firewall failed", 60)

    async def ready(self, guest: Guest, tell: Tell, limit_s: float = READY_LIMIT_S) -> None:
        """Waits until the init system is up and the addresses are there. Raises `TimedOut`."""
        tell("waiting for the init system")
        await self.run(guest.address, _READY, "the init system was not ready", READY_LIMIT_S)
        wanted = {n.address.partition("/")[0] for n in guest.nics if n.address}
        needs_any = bool(wanted)
        wanted.discard("dhcp")
        for _ in range(int(limit_s / _POLL_S)):
            found = await self.ip_addresses(guest.address)
            if wanted <= set(found) and (found or not needs_any):
                return
            tell("waiting for its address")
            await asyncio.sleep(_POLL_S)
        missing = ", ".join(sorted(wanted)) or "from DHCP"
        error = TimedOut(f"{guest.address} has no address {missing} after {limit_s:.0f} s")
        error.detail = await self.run(guest.address, _WHY_NO_ADDRESS, "networkctl failed", 20)
        raise error

    async def ip_addresses(self, address: Address) -> list[str]:
        """The addresses that the guest has now."""
        state = await self._client.get(at("instances", names.instance(address), "state"))
        return list(look.ip_addresses(state))

    async def run(self, address: Address, script: str, failure: str, limit_s: float) -> str:
        """Runs a script as root and returns its output. Raises `DriverError` or `TimedOut`."""
        mark = (f"{RUN_ENV}={self.run_id}.{DRIVER}",) if self.run_id else ()
        return await script_runs.must(
            self.way_in(address, *mark), script, f"{address}: {failure}", limit_s
        )

    def way_in(self, address: Address, *env: str) -> Sequence[str]:
        """An argument vector that starts a shell in the guest, with `env` (`NAME=VALUE`)."""
        given = [f"--env={one}" for one in env]
        return (*self._exec(), "-T", *given, names.instance(address), "--", "sh")

    def terminal(self, address: Address) -> Sequence[str]:
        """An argument vector that gives a person a login shell in the guest."""
        return (*self._exec(), "-t", names.instance(address), "--", "su", "-l")

    def _exec(self) -> Sequence[str]:
        # The client's own socket is found by itself, and root's environment may name another.
        socket = () if self._client.is_default else ("env", f"INCUS_SOCKET={self._client.socket}")
        return (*socket, "incus", "exec", f"--project={self._client.project}")

    async def _put(self, address: Address, files: dict[str, bytes]) -> None:
        name = names.instance(address)
        for path, content in files.items():
            mode = handover.mode(content)
            try:
                await self._client.put_file(name, path, content, mode=mode)
            except NotFound:  # most folders are there, and each question takes its time
                await self._make_folders(name, path)
                await self._client.put_file(name, path, content, mode=mode)

    async def _make_folders(self, name: str, path: str) -> None:
        folders = path.split("/")[1:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/" + "/".join(folders[:depth])
            await self._client.put_file(name, folder, b"", mode=0o755, kind="directory")
