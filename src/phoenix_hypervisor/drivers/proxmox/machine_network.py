"""A virtual machine's network cards in PVE's words, there and back, with cloud-init's addresses.

PVE knows no names of a machine's cards, so they are told apart by their order.
"""

from collections.abc import Mapping

from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.drivers.proxmox.property import free, indexed, parse, text
from phoenix_hypervisor.model.desired import Guest, Nic

Config = Mapping[str, object]
Keys = dict[str, str | None]

_MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3")
_OWN = {*_MODELS, "model", "macaddr", "bridge", "firewall"}


def wanted(guest: Guest, config: Config, domain: str | None) -> Keys:
    """`net0`…, `ipconfig0`…, `nameserver` and `searchdomain`; None: the key is to go.

    Parts that nobody asked for, such as the MAC address that PVE made up, are kept. The addresses
    stand here too, though cloud-init's document says the same: people look here.
    """
    cards = _cards(guest, config)
    found: Keys = dict.fromkeys([*indexed(config, "net"), *indexed(config, "ipconfig")])
    servers: list[str] = []
    for nic, (key, card) in zip(guest.nics, cards.items(), strict=True):
        found[key] = card
        place = _place(nic)
        number = key.removeprefix("net")
        if place is not None or f"ipconfig{number}" in config:
            found[f"ipconfig{number}"] = place
        servers += nic.nameservers
    found["nameserver"] = " ".join(dict.fromkeys(servers)) or None
    if domain is not None:
        found["searchdomain"] = domain
    return found


def _cards(guest: Guest, config: Config) -> dict[str, str]:
    there = list(indexed(config, "net").items())
    guarded = guest.firewall is not None and guest.firewall.enabled
    taken: dict[str, object] = dict(there)
    found: dict[str, str] = {}
    for number, nic in enumerate(guest.nics):
        key, value = there[number] if number < len(there) else (free(taken, "net"), "")
        taken[key] = nic.name
        before = parse(value, "model")
        model = next((each for each in _MODELS if each in before), before.get("model", "virtio"))
        mac = nic.mac.upper() if nic.mac else (_mac(before) or "").upper()
        rest = {part: each for part, each in before.items() if part not in _OWN}
        # A model without an address has PVE make one up.
        parts: dict[str, str | int | None] = {model: mac} if mac else {"model": model}
        parts |= {"bridge": nic.bridge, "firewall": 1 if guarded else None, **rest}
        found[key] = text(parts, "model")
    return found


def macs(config: Config) -> tuple[str | None, ...]:
    """The cards' MAC addresses in small letters, in the order of the cards."""
    return tuple(_mac(parse(value, "model")) for value in indexed(config, "net").values())


def static_addresses(config: Config) -> list[str]:
    """The fixed addresses that cloud-init gives, v4 first."""
    parts = [parse(value) for value in indexed(config, "ipconfig").values()]
    found = [each.get(kind, "") for kind in ("ip", "ip6") for each in parts]
    return [each.partition("/")[0] for each in found if "/" in each]


def seen(config: Config, guest: Guest | None, notes: Notes) -> tuple[Nic, ...]:
    """The cards. A MAC address shows where the files ask for one now, or did when it was set."""
    names = [nic.name for nic in guest.nics] if guest else []
    asked = {nic.name for nic in guest.nics if nic.mac} if guest else set()
    servers = tuple(str(config.get("nameserver") or "").split())
    found: list[Nic] = []
    for number, (key, value) in enumerate(indexed(config, "net").items()):
        parts = parse(value, "model")
        place = parse(str(config.get(f"ipconfig{key.removeprefix('net')}") or ""))
        name = names[number] if number < len(names) else f"eth{number}"
        found.append(
            Nic(
                name=name,
                bridge=parts.get("bridge", ""),
                address=place.get("ip") or place.get("ip6"),
                gateway=place.get("gw") or place.get("gw6"),
                nameservers=servers if not found else (),
                mac=_mac(parts) if name in asked or name in notes.macs else None,
            )
        )
    return tuple(found)


def _place(nic: Nic) -> str | None:
    if nic.address is None:
        return None
    kind, gateway = ("ip6", "gw6") if ":" in nic.address else ("ip", "gw")
    at = nic.gateway if nic.address != "dhcp" else None
    return text({kind: nic.address, gateway: at})


def _mac(parts: Mapping[str, str]) -> str | None:
    found = next((parts[each] for each in (*_MODELS, "macaddr") if each in parts), None)
    return None if found is None else found.lower()
