"""Interfaces in Proxmox VE's words, there and back. Pure.

Source: PVE::API2::Network and PVE::INotify. An update that leaves out the address takes it away,
so every write says all that is to be there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.host.network import HostInterface

Row = Mapping[str, Any]
_KEPT = (
    "cidr",
    "cidr6",
    "gateway",
    "gateway6",
    "bridge_ports",
    "bridge_vlan_aware",
    "bridge_vids",
    "vlan-raw-device",
    "vlan-id",
    "mtu",
    "autostart",
    "comments",
    "comments6",
    "slaves",
    "bond_mode",
    "bond-primary",
    "bond_xmit_hash_policy",
    "ovs_ports",
    "ovs_tag",
    "ovs_options",
    "ovs_bridge",
    "ovs_bonds",
)
_NAMES = {
    "address": "cidr",
    "address6": "cidr6",
    "ports": "bridge_ports",
    "vlan_aware": "bridge_vlan_aware",
    "vlan_id": "vlan-id",
    "device": "vlan-raw-device",
    "comment": "comments",
}


def wanted(interface: HostInterface) -> dict[str, Json]:
    """The fields that the files ask for: `address`, `gateway`, `ports`, …"""
    is_v6 = ":" in (interface.address or interface.gateway or "")
    end = "6" if is_v6 else ""
    given: dict[str, Json] = {
        f"address{end}": interface.address,
        f"gateway{end}": interface.gateway,
        "ports": None if interface.ports is None else _list(" ".join(interface.ports)),
        "vlan_aware": interface.vlan_aware,
        "vlan_id": interface.vlan_id,
        "device": interface.device,
        "mtu": interface.mtu,
        "autostart": interface.autostart,
        "comment": interface.comment,
    }
    return {word: value for word, value in given.items() if value is not None}


def seen(row: Row) -> dict[str, Json]:
    """The same fields of an interface that is there."""
    name = str(row.get("iface", ""))
    device, _, number = name.rpartition(".")
    vlan = row.get("vlan-id") or (number if row.get("type") == "vlan" else "")
    return {
        "address": _cidr(row, ""),
        "address6": _cidr(row, "6"),
        "gateway": row.get("gateway"),
        "gateway6": row.get("gateway6"),
        "ports": _list(str(row.get("bridge_ports") or "")),
        "vlan_aware": str(row.get("bridge_vlan_aware", "0")) == "1",
        "vlan_id": int(vlan) if str(vlan).isdigit() else None,
        "device": row.get("vlan-raw-device") or device or None,
        "mtu": int(row["mtu"]) if row.get("mtu") else None,
        "autostart": str(row.get("autostart", "0")) == "1",
        "comment": str(row.get("comments") or "").strip() or None,
    }


def parameters(interface: HostInterface, row: Row | None) -> dict[str, str]:
    """What a POST (`row` is None) or PUT of the interface says.

    What is to be off or empty is deleted: Proxmox VE writes some of it as on, whatever it says.
    """
    told: dict[str, Any] = {} if row is None else _there(row)
    for word, value in wanted(interface).items():
        told[_NAMES.get(word, word)] = int(value) if isinstance(value, bool) else value
    gone = sorted(key for key, value in told.items() if value in ("", 0))
    if row is None:
        told = {"autostart": 1} | told
        if interface.kind == "vlan" and interface.name.rpartition(".")[2] == str(interface.vlan_id):
            told = {key: told[key] for key in told if key not in {"vlan-id", "vlan-raw-device"}}
    kind = interface.kind if row is None else str(row.get("type") or interface.kind)
    sent = {key: str(value) for key, value in told.items() if key not in gone}
    return {"type": kind, **sent} | ({"delete": ",".join(gone)} if gone and row else {})


def _there(row: Row) -> dict[str, Any]:
    there = {key: row[key] for key in _KEPT if row.get(key) not in (None, "")}
    cidrs = {f"cidr{end}": cidr for end in ("", "6") if (cidr := _cidr(row, end))}
    notes = {key: str(there[key]).strip() for key in ("comments", "comments6") if key in there}
    return there | cidrs | notes


def below(name: str, rows: Mapping[str, Row]) -> Iterator[str]:
    """An interface and all that it stands on: a bridge's ports, a VLAN's card, a bond's cards."""
    yield name
    row = rows.get(name, {})
    fields = seen({"iface": name, **row})
    found = str(fields["ports"]).split() + str(row.get("slaves") or "").split()
    if row.get("type") == "vlan" and fields["device"]:
        found.append(str(fields["device"]))
    for each in found:
        yield from below(each, rows)


def _cidr(row: Row, end: str) -> str | None:
    if row.get(f"cidr{end}"):
        return str(row[f"cidr{end}"])
    address, mask = row.get(f"address{end}"), row.get(f"netmask{end}")
    return f"{address}/{mask}" if address and mask else None


def _list(text: str) -> str:
    return " ".join(sorted(each for each in text.split() if each != "none"))
