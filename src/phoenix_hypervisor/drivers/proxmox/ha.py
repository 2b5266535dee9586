"""Guests under the cluster's HA manager: resources and the rules that say where they prefer to be.

Proxmox VE 9 has node-affinity rules, 8 has groups. Source: the Proxmox VE API documentation,
`/cluster/ha/resources`, `/cluster/ha/rules` and `/cluster/ha/groups`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.availability import HighAvailability
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.errors import NotFound, Unsupported

_KIND = {"lxc": "ct", "vm": "vm"}
_OWN = "phoenix-"
_RULE = _OWN + "{kind}-{id}"


async def read(api: Api) -> dict[Address, Json]:
    """What the HA manager does with each guest that it knows."""
    rows = await api.get("/cluster/ha/resources")
    rules = await _rules(api)
    return seen(rows, rules)


def seen(
    rows: Iterable[Mapping[str, Any]], rules: Iterable[Mapping[str, Any]]
) -> dict[Address, Json]:
    """From the lists of resources and of rules."""
    nodes = {}
    for rule in rules:
        if not str(rule.get("rule", "")).startswith(_OWN):
            continue  # somebody's own rule is his to keep
        for sid in str(rule.get("resources", "")).split(","):
            nodes[sid] = _ordered(str(rule.get("nodes", "")))
    found: dict[Address, Json] = {}
    for row in rows:
        kind, _, vmid = str(row["sid"]).partition(":")
        address = Address(f"{'lxc' if kind == 'ct' else 'vm'}/{vmid}")
        found[address] = _json(
            str(row.get("state", "started")).replace("enabled", "started"),
            row.get("max_restart"),
            row.get("max_relocate"),
            nodes.get(str(row["sid"]), []),
            str(row.get("comment") or "").strip(),
        )
    return found


def wanted(ha: HighAvailability | None) -> Json:
    """What `read` shows once all is as asked; None: not under the HA manager."""
    if ha is None:
        return None
    return _json(ha.state, ha.max_restart, ha.max_relocate, list(ha.nodes), ha.comment)


async def write(api: Api, address: Address, ha: HighAvailability | None) -> None:
    """Puts a guest under the HA manager, changes how, or takes it away."""
    sid = f"{_KIND[addresses.kind(address)]}:{addresses.ident(address)}"
    there = {str(row["sid"]) for row in await api.get("/cluster/ha/resources")}
    if ha is None:
        await _write_rule(api, sid, ())
        if sid in there:
            await api.delete(path("cluster", "ha", "resources", sid))
        return
    values = {
        "state": ha.state,
        "max_restart": ha.max_restart,
        "max_relocate": ha.max_relocate,
        "comment": ha.comment or None,
    }
    if sid in there:
        gone = [key for key, value in values.items() if value is None]
        delete = ",".join(gone) or None
        await api.put(path("cluster", "ha", "resources", sid), delete=delete, **values)
    else:
        await api.post("/cluster/ha/resources", sid=sid, **values)
    await _write_rule(api, sid, ha.nodes)


async def _write_rule(api: Api, sid: str, nodes: tuple[str, ...]) -> None:
    kind, _, vmid = sid.partition(":")
    name = _RULE.format(kind=kind, id=vmid)
    rules = {str(rule.get("rule")) for rule in await _rules(api)}
    # The first is preferred most: PVE's priorities are higher for better ones.
    text = ",".join(f"{node}:{len(nodes) - place}" for place, node in enumerate(nodes))
    if not nodes:
        if name in rules:
            await api.delete(path("cluster", "ha", "rules", name))
    elif name in rules:
        await api.put(path("cluster", "ha", "rules", name), type="node-affinity", nodes=text)
    else:
        await api.post(
            "/cluster/ha/rules", rule=name, type="node-affinity", resources=sid, nodes=text
        )


async def _rules(api: Api) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = await api.get("/cluster/ha/rules", type="node-affinity")
    except (NotFound, Unsupported):
        return []  # Proxmox VE 8 has groups instead, which Phoenix leaves alone
    return found


def _json(
    state: str, restart: Any, relocate: Any, nodes: list[str], comment: str
) -> dict[str, Json]:
    shown: dict[str, Json] = {"state": state}
    if restart is not None:
        shown["max_restart"] = int(restart)
    if relocate is not None:
        shown["max_relocate"] = int(relocate)
    if nodes:
        shown["nodes"] = [*nodes]
    if comment:
        shown["comment"] = comment
    return shown


def _ordered(text: str) -> list[str]:
    entries = [each.partition(":") for each in text.split(",") if each]
    entries.sort(key=lambda each: -int(each[2] or 0))
    return [node for node, _, _ in entries]
