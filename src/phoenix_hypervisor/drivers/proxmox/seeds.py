"""cloud-init's documents of virtual machines: their digests for plans, and their way to the node.

The documents are snippets in a storage of the node, which only root there can write; PVE builds
the drive that the machine reads from them. Where no storage of a node takes snippets, PVE's own
words for a user and its keys are used, which say less.
"""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from phoenix_hypervisor.drivers.proxmox import cloudinit, cloudlive, machine, machine_network
from phoenix_hypervisor.drivers.proxmox.cloudinit import Documents
from phoenix_hypervisor.drivers.proxmox.cluster import Cluster
from phoenix_hypervisor.drivers.proxmox.container import Keys
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.ssh_key import SshKey
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest, Host
from phoenix_hypervisor.model.errors import DriverError
from phoenix_hypervisor.model.secret import Secret

_WRITE = """\
set -e
umask 077
for part in {parts}; do
  read -r size name
  file=$(pvesm path "{store}:snippets/$name")
  mkdir -p "$(dirname "$file")"
  head -c "$size" >"$file.new"
  mv -f "$file.new" "$file"
done
"""
_FORGET = 'rm -f "$(dirname "$(pvesm path {store}:snippets/x)")"/phoenix-{vmid}-*'


class Seeds:
    """The documents of one stack's machines. `host` and `cluster` are of the last look."""

    def __init__(
        self, channels: Channels, stack: str, folder: Path, reveal: Callable[[str], str]
    ) -> None:
        self.key = SshKey(folder)
        self.host = Host()
        self.cluster: Cluster | None = None
        self.unseeded: frozenset[Address] = frozenset()
        self._channels = channels
        self._stack = stack
        self._reveal = reveal

    def digests(self, guest: Guest, node: str) -> Mapping[str, str]:
        """What a plan compares: nothing for machines that Phoenix did not make, or where no
        storage takes snippets.
        """
        if guest.kind != "vm" or guest.address in self.unseeded or self._store(node) is None:
            return {}
        return self._documents(guest, (), ()).digests

    async def write(self, guest: Guest, now: State) -> Keys:
        """Brings the documents to the machine's node; gives the keys that name them."""
        store = self._store(now.node)
        if store is None:
            return machine.native_cloud(guest, [self.key.text()])
        documents = self._documents(guest, machine_network.macs(now.config), (self.key.text(),))
        texts = {part: text.encode() for part, text in documents.snippets().items()}
        names = {part: machine.snippet(now.vmid, part, documents.digests[part]) for part in texts}
        sent = b"".join(
            f"{len(text)} {names[part]}\n".encode() + text for part, text in texts.items()
        )
        script = _WRITE.format(parts=shlex.join(texts), store=store)
        why = f"cloud-init's documents of {now.address}"
        answer = await self._channels.of(now.node).run(script, why, stdin=sent)
        if not answer.ok:
            raise DriverError(
                f"{now.address}: cloud-init's documents can't be written: {answer.words()}",
                hint=f"`pvesm set {store} --content …,snippets` on {now.node}",
            )
        return machine.cloud(guest, store, documents.digests)

    def has_store(self, node: str) -> bool:
        """Whether documents have a place on a node."""
        return self._store(node) is not None

    async def forget(self, now: State) -> None:
        """Removes the documents of a machine that goes."""
        store = self._store(now.node)
        if store is not None and "cicustom" in now.config:
            script = _FORGET.format(store=store, vmid=now.vmid)
            await self._channels.of(now.node).run(script, f"documents of {now.address}")

    def live(self, guest: Guest) -> str:
        """A script for the running machine, which does what its documents say."""
        people = cloudinit.people(guest, self.host, self._value)
        return cloudlive.script(guest, self.host, people, [self.key.text()])

    def _documents(
        self, guest: Guest, macs: tuple[str | None, ...], keys: tuple[str, ...]
    ) -> Documents:
        own = guest.user_data.read_text(encoding="utf-8") if guest.user_data else None
        return cloudinit.documents(
            guest,
            self.host,
            self._stack,
            reveal=self._value,
            keys=keys,
            macs=macs,
            own=own,
        )

    def _store(self, node: str) -> str | None:
        """The storage of a node that takes snippets: a shared one, which moves with nobody."""
        storages = self.cluster.storages if self.cluster is not None else ()
        fits = [s for s in storages if s.node == node and s.active and "snippets" in s.content]
        if not fits:
            return None
        return min(fits, key=lambda one: (not one.shared, one.name != "local", one.name)).name

    def _value(self, secret: Secret) -> str:
        return secret.reveal(self._reveal)
