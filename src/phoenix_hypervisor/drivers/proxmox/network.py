"""A container's network cards in PVE's words, there and back."""

from collections.abc import Mapping

from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.drivers.proxmox.property import flag, free, indexed, parse, text
from phoenix_hypervisor.model.desired import Guest, Nic

_PLACE = ("ip", "gw", "ip6", "gw6")


def wanted(guest: Guest, config: Mapping[str, object]) -> dict[str, str | None]:
    """`net0`… and `nameserver`; None: the key is to go.

    Parts that nobody asked for, such as the MAC address that PVE made up, are kept.
    """
    there = {key: parse(value) for key, value in indexed(config, "net").items()}
    by_name = {parts.get("name"): key for key, parts in there.items()}
    guarded = guest.firewall is not None and guest.firewall.enabled
    found: dict[str, str | None] = dict.fromkeys(there)
    taken: dict[str, object] = dict(there)
    servers: list[str] = []
    for nic in guest.nics:
        key = by_name.get(nic.name)
        if key is None:
            key = free(taken, "net")
            taken[key] = nic.name
        parts: dict[str, str] = {"name": nic.name, **there.get(key, {}), "bridge": nic.bridge}
        # Beside an IPv4 address, the only one that is compared, an IPv6 one is somebody else's.
        beside = ("ip6", "gw6") if "ip" in parts and ":" not in (nic.address or ":") else ()
        for part in (*_PLACE, "firewall"):
            if part not in beside:
                parts.pop(part, None)
        parts |= _place(nic) | ({"firewall": "1"} if guarded else {}) | {"type": "veth"}
        if nic.mac:
            parts["hwaddr"] = nic.mac.upper()
        found[key] = text(parts)
        servers += nic.nameservers
    found["nameserver"] = " ".join(dict.fromkeys(servers)) or None
    return found


def seen(config: Mapping[str, object], guest: Guest | None, notes: Notes) -> tuple[Nic, ...]:
    """The cards. A MAC address shows where the files ask for one now, or did when it was set."""
    servers = tuple(str(config.get("nameserver", "")).split())
    asked = {nic.name for nic in guest.nics if nic.mac} if guest else set()
    found: list[Nic] = []
    for value in indexed(config, "net").values():
        parts = parse(value)
        name = parts.get("name", "")
        mac = parts.get("hwaddr") if name in asked or name in notes.macs else None
        found.append(
            Nic(
                name=name,
                bridge=parts.get("bridge", ""),
                address=_shown(parts.get("ip")) or _shown(parts.get("ip6")),
                gateway=parts.get("gw") or parts.get("gw6"),
                nameservers=servers if not found else (),
                mac=mac,
            )
        )
    return tuple(found)


def static_addresses(config: Mapping[str, object]) -> list[str]:
    """The fixed addresses of a container's cards, v4 first."""
    parts = [parse(value) for value in indexed(config, "net").values()]
    found = [each.get(kind, "") for kind in ("ip", "ip6") for each in parts]
    return [each.partition("/")[0] for each in found if "/" in each]


def asks_dhcp(config: Mapping[str, object]) -> bool:
    """Whether a card gets its address from elsewhere, so that only the guest knows it."""
    automatic = ("dhcp", "auto")
    parts = [parse(value) for value in indexed(config, "net").values()]
    return any(each.get(kind) in automatic for each in parts for kind in ("ip", "ip6"))


def is_guarded(config: Mapping[str, object]) -> bool:
    """Whether a card passes PVE's firewall."""
    return any(flag(parse(each).get("firewall")) for each in indexed(config, "net").values())


def _place(nic: Nic) -> dict[str, str]:
    if nic.address is None:
        return {}
    kind, gateway = ("ip6", "gw6") if ":" in nic.address else ("ip", "gw")
    return {kind: nic.address} | ({gateway: nic.gateway} if nic.gateway else {})


def _shown(address: str | None) -> str | None:
    return None if address in (None, "manual") else address
