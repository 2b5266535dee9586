"""What cloud-init is told: the documents of a virtual machine's seed, made from the files.

All documents are JSON, which is YAML; so nothing needs quoting but what JSON quotes.

cloud-init does most of its work once for each *instance id*. PVE makes that id a hash of user-data
and network-config (qemu-server's `Cloudinit.pm`), so that any edit would make users, host keys and
packages anew at the next start. So Phoenix gives meta-data of its own: the id holds the stack and
the guest's id, and never changes. A clone has another one, and so becomes a machine of its own.

How a changed document then reaches a machine that has been started before:

- users, keys, passwords, sudo, time zone, packages, NFS mounts, host name: `cloudlive` brings them
  into the running machine over SSH (or the agent) at once, and the new document is for the record;
- addresses, gateway, name servers: `PUT …/cloudinit` writes the drive and a restart applies it:
  vendor-data asks cloud-init to look at the network at each start;
- the folder's own `user_data`: what it does each time (`bootcmd`) at the next start, the rest only
  in machines made from now on.

No edit replaces the machine, and none makes cloud-init begin anew.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from ipaddress import ip_address, ip_interface
from typing import Any

from phoenix_hypervisor.model.desired import CloudUser, Guest, Host, Nic
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.secret import Secret

Reveal = Callable[[Secret], str]
"""Gives a secret's value, or raises `SecretMissing`."""

HEADER = "#cloud-config\n"
MARK = "x-phoenix"
"""The mount option by which Phoenix finds its own lines again; mount(8) ignores it."""
MOUNT_OPTIONS = f"defaults,nofail,_netdev,{MARK}"
"""A file server that is away must not keep the machine from starting."""

_HASH = re.compile(r"\$(y|gy|7|6|5|2[aby])\$[./A-Za-z0-9$,=+-]+|[!*]+")
_KINDS = {
    "#cloud-config": "cloud-config",
    "#!": "x-shellscript",
    "#cloud-boothook": "cloud-boothook",
    "#include": "x-include-url",
    "## template: jinja": "jinja2",
}
_MERGE = "list(append)+dict(recurse_array)+str()"


@dataclass(frozen=True, slots=True)
class Person:
    """One account. `password_hash` is the hash itself, never a password; None: keys only."""

    name: str
    keys: tuple[str, ...] = ()
    password_hash: str | None = None
    sudo: bool = False
    shell: str = "/bin/bash"
    groups: tuple[str, ...] = ()

    @property
    def sudo_rule(self) -> str:
        """For sudoers(5): who has no password can't be asked for it."""
        return f"ALL=(ALL:ALL) {'ALL' if self.password_hash else 'NOPASSWD: ALL'}"


@dataclass(frozen=True, slots=True)
class Documents:
    """The four texts, and digests (12 hex digits) of those whose change is a difference.

    The network's digest leaves out addresses of cards that nobody asked for, so that it is known
    before PVE has made them up; the user's leaves out Phoenix's own keys, which differ from one
    person's folder to another's.
    """

    user: str
    network: str
    vendor: str
    meta: str
    digests: Mapping[str, str]

    def nocloud(self) -> dict[str, str]:
        """The files of a NoCloud seed (a file system with the label `cidata`), as PVE writes it."""
        return {
            "user-data": self.user,
            "network-config": self.network,
            "vendor-data": self.vendor,
            "meta-data": self.meta,
        }

    def snippets(self) -> dict[str, str]:
        """The texts by the names of PVE's `cicustom`."""
        return {
            "user": self.user,
            "network": self.network,
            "vendor": self.vendor,
            "meta": self.meta,
        }


def documents(
    guest: Guest,
    host: Host,
    stack: str,
    *,
    reveal: Reveal,
    keys: Sequence[str] = (),
    macs: Sequence[str | None] = (),
    own: str | None = None,
) -> Documents:
    """All documents of a machine.

    `keys` are the SSH keys that root takes (Phoenix's own), `macs` the addresses of the cards in
    their order, `own` is the text of the folder's `user_data`. Raises `ConfigError` for a
    password's hash that is none, and what `reveal` raises.
    """
    accounts = people(guest, host, reveal)
    user = user_data(guest, host, accounts, keys, own)
    asked = [nic.mac for nic in guest.nics]
    vendor, meta = vendor_data(), meta_data(guest, stack)
    told = {
        "user": user_data(guest, host, accounts, (), own),
        "network": network_config(guest, host, asked),
        "vendor": vendor,
        "meta": meta,
    }
    return Documents(
        user=user,
        network=network_config(guest, host, macs),
        vendor=vendor,
        meta=meta,
        digests={part: _digest(text) for part, text in told.items()},
    )


def people(guest: Guest, host: Host, reveal: Reveal) -> tuple[Person, ...]:
    """The accounts: the machine's own user first, then the host file's, each name once."""
    found: dict[str, Person] = {}
    if guest.user is not None:
        found[guest.user.username] = _first(guest.user, guest, reveal)
    for user in host.users:
        if user.username not in found:
            hash_ = _hash(user.password_hash, user.username, guest, reveal)
            found[user.username] = Person(user.username, user.ssh_keys, hash_, user.sudo)
    return tuple(found.values())


def packages(guest: Guest) -> tuple[str, ...]:
    """What is installed at the first start: what Phoenix needs itself, then what is asked for."""
    agent = ["qemu-guest-agent"] if guest.agent else []
    nfs = ["nfs-common"] if guest.shares else []
    return tuple(dict.fromkeys([*agent, *nfs, *guest.packages]))


def mounts(guest: Guest) -> list[str]:
    """The NFS mounts as lines of fstab(5)."""
    return [
        f"{_server(share.server)}:{_escaped(share.path)} {_escaped(share.target)} nfs "
        f"{MOUNT_OPTIONS} 0 0"
        for share in guest.shares
    ]


def full_name(guest: Guest, host: Host) -> str:
    """The name with the domain, where it has none itself."""
    return f"{guest.name}.{host.domain}" if host.domain and "." not in guest.name else guest.name


def user_data(
    guest: Guest,
    host: Host,
    accounts: Sequence[Person],
    keys: Sequence[str] = (),
    own: str | None = None,
) -> str:
    """The user-data: a cloud-config, or, with the folder's own text, a MIME message of both.

    In a merge of both, lists are joined, and of single values Phoenix's goes first.
    """
    told: dict[str, Any] = {
        "hostname": guest.name.partition(".")[0],
        "fqdn": full_name(guest, host),
        # Only its own line: the rest of /etc/hosts is others', such as base_setup's.
        "manage_etc_hosts": "localhost",
        "ssh_pwauth": False,
        "disable_root": not keys,
        "users": [*_root(keys), *map(_account, accounts)],
    }
    if host.timezone:
        told["timezone"] = host.timezone
    if wanted := packages(guest):
        told |= {"package_update": True, "packages": list(wanted)}
    # A package that is just installed does not start the agent.
    agent = [["systemctl", "--no-block", "start", "qemu-guest-agent.service"]]
    if late := [*_late_mounts(guest), *(agent if guest.agent else [])]:
        told["runcmd"] = late
    text = _text(told)
    return text if own is None else _joined(text, own)


def _late_mounts(guest: Guest) -> list[list[str]]:
    """Commands that mount the shares; a clone has its source's lines, which go.

    Not cloud-init's own `mounts`: it comes before packages, so that nfs-common is not there yet,
    its `mount -a` fails, and cloud-init counts as failed.
    """
    if not guest.shares:
        return []
    targets = [share.target for share in guest.shares]
    return [
        ["sed", "-i", f"/{MARK}/d", "/etc/fstab"],
        ["sh", "-c", 'printf "%s\\n" "$@" >>/etc/fstab', "sh", *mounts(guest)],
        ["mkdir", "-p", *targets],
        ["systemctl", "daemon-reload"],
        ["mount", "--all", "--types", "nfs,nfs4"],
    ]


def network_config(guest: Guest, host: Host, macs: Sequence[str | None] = ()) -> str:
    """The network in version 2 (as netplan's), each card found by its MAC address.

    A card without one is found by its name. Source: cloud-init, "Networking config Version 2".
    """
    cards = {
        nic.name: _card(nic, host, macs[number] if number < len(macs) else nic.mac)
        for number, nic in enumerate(guest.nics)
    }
    return _text({"version": 2, "ethernets": cards}, header="")


def vendor_data() -> str:
    """What is the same in every machine; user-data's words go before these."""
    return _text(
        {
            "growpart": {"mode": "auto", "devices": ["/"], "ignore_growroot_disabled": False},
            "resize_rootfs": True,
            "updates": {"network": {"when": ["boot-new-instance", "boot"]}},
        }
    )


def meta_data(guest: Guest, stack: str) -> str:
    """The instance id, which stays the same through all edits, and the name."""
    instance = f"phoenix-{stack}-{guest.id}"
    return _text({"instance-id": instance, "local-hostname": guest.name}, header="")


def _root(keys: Sequence[str]) -> list[dict[str, Any]]:
    return (
        [{"name": "root", "lock_passwd": True, "ssh_authorized_keys": list(keys)}] if keys else []
    )


def _account(person: Person) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": person.name,
        "shell": person.shell,
        "lock_passwd": person.password_hash is None,
    }
    if person.groups:
        told["groups"] = list(person.groups)
    if person.password_hash is not None:
        told["hashed_passwd"] = person.password_hash
    if person.sudo:
        told["sudo"] = [person.sudo_rule]
    if person.keys:
        told["ssh_authorized_keys"] = list(person.keys)
    return told


def _first(user: CloudUser, guest: Guest, reveal: Reveal) -> Person:
    return Person(
        name=user.username,
        keys=user.ssh_keys,
        password_hash=_hash(user.password_hash, user.username, guest, reveal),
        sudo=user.sudo,
        shell=user.shell or "/bin/bash",
        groups=user.groups,
    )


def _hash(secret: Secret | None, name: str, guest: Guest, reveal: Reveal) -> str | None:
    """A plain password would stand in a file of the node and on a drive of the machine."""
    if secret is None:
        return None
    value = reveal(secret)
    if not _HASH.fullmatch(value):
        raise ConfigError(
            f"{guest.address}: the password_hash of {name} is not the hash of a password; "
            "make one with `mkpasswd` (package whois) or `openssl passwd -6`"
        )
    return value


def _card(nic: Nic, host: Host, mac: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if mac is not None:
        told |= {"match": {"macaddress": mac.lower()}, "set-name": nic.name}
    if nic.address == "dhcp":
        told["dhcp4"] = True
    elif nic.address is not None:
        told["addresses"] = [nic.address]
        if nic.gateway is not None:
            told["routes"] = [_route(nic.address, nic.gateway)]
    if nic.nameservers:
        search = {"search": [host.domain]} if host.domain else {}
        told["nameservers"] = {"addresses": list(nic.nameservers), **search}
    return told


def _route(address: str, gateway: str) -> dict[str, Any]:
    """The default route; `0.0.0.0/0`, since older releases don't know `default`."""
    to = "::/0" if ":" in gateway else "0.0.0.0/0"
    near = ip_address(gateway) in ip_interface(address).network
    return {"to": to, "via": gateway} | ({} if near else {"on-link": True})


def _escaped(path: str) -> str:
    return path.replace("\\", "\\134").replace(" ", "\\040")


def _server(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _joined(text: str, own: str) -> str:
    """One MIME message, the same for the same texts. Source: cloud-init, "MIME multi-part"."""
    kind = next((kind for start, kind in _KINDS.items() if own.startswith(start)), "cloud-config")
    whole = MIMEMultipart(boundary=f"phoenix-{_digest(text + own)}")
    for subtype, body in (("cloud-config", text), (kind, own)):
        part = MIMEText(body, subtype, "utf-8")
        if subtype == "cloud-config":
            part["Merge-Type"] = _MERGE
        whole.attach(part)
    return whole.as_string()


def _text(value: Mapping[str, Any], header: str = HEADER) -> str:
    return header + json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
