"""What is missing on a cluster before a folder can be applied to it. Changes nothing.

Each finding has the command that mends it. What only root on a node can see is asked in one go;
the rest is asked over the API.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phoenix_hypervisor.drivers.proxmox import doctor_node
from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.look import View
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.permissions import grant
from phoenix_hypervisor.drivers.proxmox.privileges import BASE, PRIVILEGES
from phoenix_hypervisor.drivers.proxmox.property import flag
from phoenix_hypervisor.model.desired import Desired, Target
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.finding import Finding

_OLDEST = 8
_ROOTS = {
    "VM": "/vms",
    "Datastore": "/storage",
    "SDN": "/sdn/zones/localnetwork",
    "Mapping": "/mapping/pci",
    "Sys": "/",
}
_CONTENT = {
    "rootdir": "disks of containers",
    "vztmpl": "templates of containers",
    "images": "disks of virtual machines",
    "import": "images of virtual machines",
    "snippets": "cloud-init's documents of virtual machines",
}
_SPARED = (
    "Datastore.AllocateTemplate",
    "Mapping.Use",
    "Sys.AccessNetwork",
    "VM.GuestAgent.Audit",
    "VM.Migrate",
)
"""Privileges without which most folders do; the plan asks for them where one doesn't."""
_OF_MACHINES = ("images", "import", "snippets")


async def examine(
    api: Api, channels: Channels, target: Target, desired: Desired, seen: View
) -> list[Finding]:
    """Everything: the API, its user, the nodes."""
    patient = _Patient(api, channels, target, desired, seen)
    found = await _guarded("version", patient.version)
    found += [patient.trust(), *patient.privileges(), *patient.cluster(), *patient.storages()]
    found += await _guarded("firewall", patient.firewall)
    nodes = sorted(seen.cluster.online)
    for each in await asyncio.gather(*(patient.node(node) for node in nodes)):
        found += each
    return found


@dataclass(frozen=True, slots=True)
class _Patient:
    api: Api
    channels: Channels
    target: Target
    desired: Desired
    seen: View

    async def version(self) -> list[Finding]:
        told = await self.api.get("/version")
        version = str(told.get("version", ""))
        major = version.partition(".")[0]
        is_new = major.isdigit() and int(major) >= _OLDEST
        mend = "" if is_new else "upgrade the nodes to Proxmox VE 8 or newer"
        said = f"Proxmox VE {version} answers at {self.api.host}"
        return [Finding("version", is_new, said, mend)]

    def trust(self) -> Finding:
        if self.target.verify_tls:
            how = "its fingerprint" if self.target.fingerprint else "its certificate authority"
            return Finding("TLS", True, f"the API is known by {how}")
        return Finding(
            "TLS",
            False,
            "the API's certificate is not checked: anybody in between gets the token",
            "pvenode cert info   (on the node; write its fingerprint into hypervisor.fingerprint)",
            needed=False,
        )

    def privileges(self) -> Iterator[Finding]:
        held, user = self.seen.permissions, self.api.user
        if held.everything:
            yield Finding("privileges", True, f"{user} may do everything")
            return
        missing: dict[tuple[str, bool], list[str]] = {}
        for privilege in BASE:
            where = _ROOTS[privilege.partition(".")[0]]
            if not held.has(where, privilege):
                missing.setdefault((where, privilege not in _SPARED), []).append(privilege)
        if not missing:
            yield Finding("privileges", True, f"{user} has all {len(BASE)} that Phoenix uses")
        for (where, needed), names in sorted(missing.items()):
            told = ", ".join(f"{name} ({PRIVILEGES[name]})" for name in names)
            said = f"{user} lacks on {where}: {told}"
            yield Finding("privileges", False, said, grant(user, where, names), needed=needed)

    def cluster(self) -> Iterator[Finding]:
        cluster = self.seen.cluster
        if not cluster.quorate:
            said = "the cluster has no quorum, so that nothing can be changed"
            yield Finding("cluster", False, said, "pvecm status")
        for node in sorted(set(cluster.nodes) - set(cluster.online)):
            said = "it is offline; its guests are left alone until it is back"
            yield Finding(f"node {node}", False, said, f"ping {node}", needed=False)
        wanted = self.target.node
        if wanted is not None and wanted not in cluster.nodes:
            said = f"hypervisor.node is {wanted}, and there are {', '.join(cluster.nodes)}"
            mend = f'write "node": "{cluster.local}"'
            yield Finding("node", False, said, mend)

    async def firewall(self) -> list[Finding]:
        """Firewalls of guests, also those that follow from routes, hold with the datacenter's."""
        guests = self.desired.guests.values()
        wanted = [each.address for each in guests if each.firewall and each.firewall.enabled]
        if not wanted:
            return []
        options = await self.api.get("/cluster/firewall/options")
        if flag(options.get("enable")):
            return [Finding("firewall", True, "the datacenter's is on, so that guests' hold")]
        said = f"the datacenter's is off: that of {', '.join(wanted)} does nothing"
        mend = "pvesh set /cluster/firewall/options --enable 1   (read first whom it shuts out)"
        return [Finding("firewall", False, said, mend, needed=False)]

    def storages(self) -> Iterator[Finding]:
        """Of the node where new guests go: for each kind of content, a storage that takes it."""
        node = self.seen.node
        here = [one for one in self.seen.cluster.storages if one.node == node and one.active]
        if not here:
            said = f"none can be seen on {node}"
            yield Finding("storages", False, said, "pvesm status   (on the node)")
            return
        kinds = {guest.kind for guest in self.desired.guests.values()} or {"lxc"}
        for content, purpose in _CONTENT.items():
            takers = [one.name for one in here if content in one.content]
            if takers:
                yield Finding(f"storage for {content}", True, f"{', '.join(takers)} ({purpose})")
                continue
            local = next((one for one in here if one.kind == "dir"), here[0])
            told = ",".join(sorted({*local.content, content}))
            needed = ("vm" if content in _OF_MACHINES else "lxc") in kinds
            said = f"no storage of {node} takes {purpose}"
            mend = f"pvesm set {local.name} --content {told}"
            yield Finding(f"storage for {content}", False, said, mend, needed=needed)

    async def node(self, node: str) -> list[Finding]:
        looks: list[tuple[str, Callable[[str], Awaitable[list[Finding]]]]] = [
            ("bridges", self._bridges),
            ("templates", self._templates),
            ("repositories", self._repositories),
            ("root", self._root),
        ]
        found: list[Finding] = []
        for what, look in looks:
            found += await _guarded(f"{what} of {node}", functools.partial(look, node))
        return found

    async def _bridges(self, node: str) -> list[Finding]:
        rows = await self.api.get(path("nodes", node, "network"), type="any_bridge")
        names = sorted(str(row["iface"]) for row in rows or ())
        what = f"bridges of {node}"
        if names:
            return [Finding(what, True, ", ".join(names), "")]
        zone = "/sdn/zones/localnetwork"
        if not self.seen.permissions.has(zone, "SDN.Use"):
            said = f"none can be seen: {self.api.user} lacks SDN.Use on {zone}"
            return [Finding(what, False, said, grant(self.api.user, zone, ["SDN.Use"]))]
        mend = (
            f"pvesh create /nodes/{node}/network --iface vmbr0 --type bridge --autostart 1 "
            f"&& pvesh set /nodes/{node}/network"
        )
        said = "there is none: guests have nothing to be plugged into"
        return [Finding(what, False, said, mend)]

    async def _templates(self, node: str) -> list[Finding]:
        cluster = self.seen.cluster
        names: list[str] = []
        for one in cluster.storages:
            if one.node == node and one.active and "vztmpl" in one.content:
                where = path("nodes", node, "storage", one.name, "content")
                rows = await self.api.get(where, content="vztmpl")
                names += [str(row["volid"]).partition("/")[2] for row in rows or ()]
        mend = (
            ""
            if names
            else (
                "pveam update && pveam available --section system && pveam download local TEMPLATE"
            )
        )
        said = ", ".join(sorted(set(names))) or "none at hand: apply downloads what it needs"
        return [Finding(f"templates of {node}", bool(names), said, mend, needed=False)]

    async def _repositories(self, node: str) -> list[Finding]:
        subscription = await self.api.get(path("nodes", node, "subscription"))
        told = await self.api.get(path("nodes", node, "apt", "repositories"))
        return list(_repositories(node, subscription or {}, told or {}))

    async def _root(self, node: str) -> list[Finding]:
        channel = self.channels.of(node)
        answer = await channel.run(doctor_node.SCRIPT, "what `phoenix doctor` looks at")
        facts = doctor_node.read(answer.said().out)
        said = f"{channel.label} gives a shell of root"
        root = Finding(f"root of {node}", True, said)
        machines = self._has_machines(node)
        cards = self._gives_cards(node)
        return [root, *doctor_node.findings(node, facts, cards, has_machines=machines)]

    def _has_machines(self, node: str) -> bool:
        """Whether the files have a virtual machine on this node."""
        return any(
            guest.kind == "vm" and (guest.node or self.seen.node) == node
            for guest in self.desired.guests.values()
        )

    def _gives_cards(self, node: str) -> bool:
        """Whether the files give a card of this node to a virtual machine."""
        return any(
            guest.pci and (guest.node or self.seen.node) == node
            for guest in self.desired.guests.values()
        )


async def _guarded(what: str, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """What was found, or that it can't be looked at, which is a finding too."""
    try:
        return await look()
    except PhoenixError as error:
        return [Finding(what, False, error.message, error.hint)]


def _repositories(
    node: str, subscription: Mapping[str, Any], told: Mapping[str, Any]
) -> Iterator[Finding]:
    """Without a subscription the enterprise repository refuses, and `apt update` fails."""
    known: Sequence[Mapping[str, Any]] = told.get("standard-repos") or ()
    enabled = {str(one["handle"]) for one in known if one.get("status") in (1, True)}
    what = f"repositories of {node}"
    paid = subscription.get("status") == "active"
    refusing = sorted(handle for handle in enabled if "enterprise" in handle)
    if refusing and not paid:
        said = f"{', '.join(refusing)} without a subscription: `apt update` fails"
        for command in _switching_off(node, told) or [f"pvesh get /nodes/{node}/apt/repositories"]:
            yield Finding(what, False, said, command, needed=False)
    elif known and not enabled:
        said = "none of Proxmox VE's own is on: the node gets no updates"
        mend = f"pvesh set /nodes/{node}/apt/repositories --handle no-subscription"
        yield Finding(what, False, said, mend, needed=False)
    else:
        said = "with a subscription" if paid else "none that needs a subscription"
        yield Finding(what, True, said)


def _switching_off(node: str, told: Mapping[str, Any]) -> list[str]:
    return [
        f"pvesh create /nodes/{node}/apt/repositories --path {file['path']} --index {index} "
        "--enabled 0"
        for file in told.get("files") or ()
        for index, one in enumerate(file.get("repositories") or ())
        if one.get("Enabled") in (1, True)
        if any("enterprise" in part for part in one.get("Components") or ())
    ]
