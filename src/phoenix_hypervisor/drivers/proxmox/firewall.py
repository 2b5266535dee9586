"""A guest's packet filter in PVE: options and ordered rules, there and back.

Rules that somebody else made are left alone where Phoenix has none of its own to place; a guest
whose files declare a firewall has exactly the declared rules. Source: the Proxmox VE API
documentation, `/nodes/{node}/{kind}/{vmid}/firewall`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.property import flag
from phoenix_hypervisor.drivers.proxmox.state import url
from phoenix_hypervisor.model import pve_rule
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Firewall, FirewallRule, Json
from phoenix_hypervisor.model.errors import Conflict

_POLICIES = ("ACCEPT", "DROP", "REJECT")
_TRIES = 3


async def read(api: Api, node: str, address: Address) -> Json:
    """The filter as `fields.firewall_json` shows it; None where it is off."""
    options = await api.get(url(node, address, "firewall", "options"))
    if not flag(options.get("enable")):
        return None
    rules = await api.get(url(node, address, "firewall", "rules"))
    return words.firewall_json(seen(options, rules))


def seen(options: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> Firewall:
    """From PVE's two answers. Rules that are switched off count as not there."""
    ordered = sorted(rules, key=lambda rule: int(rule.get("pos", 0)))
    return Firewall(
        enabled=flag(options.get("enable")),
        rules=tuple(_seen_rule(rule) for rule in ordered if flag(rule.get("enable", 1))),
        policy_in=_policy(options.get("policy_in"), "DROP"),
        policy_out=_policy(options.get("policy_out"), "ACCEPT"),
    )


def normalised(firewall: Firewall | None) -> Json:
    """The filter that is wanted, as `read` shows it: ports with PVE's ranges, protocol given."""
    if firewall is None or not firewall.enabled:
        return None
    rules = tuple(_seen_rule(parameters(rule)) for rule in firewall.rules)
    return words.firewall_json(Firewall(True, rules, firewall.policy_in, firewall.policy_out))


def parameters(rule: FirewallRule) -> dict[str, str]:
    """PVE's parameters of one rule."""
    return pve_rule.parameters(
        direction=rule.direction,
        action=rule.action,
        source=rule.source,
        dest=rule.dest,
        proto=rule.proto,
        ports=rule.ports,
        comment=rule.comment,
    )


async def write(api: Api, node: str, address: Address, wanted: Firewall | None) -> None:
    """Brings options and rules to what is wanted, changing only what differs.

    A guest without a declared firewall has it switched off; its rules stay as they are. Raises
    `Conflict` where somebody else writes at the same time.
    """
    where = url(node, address, "firewall", "options")
    if wanted is None or not wanted.enabled:
        options = await api.get(where)
        if flag(options.get("enable")):
            await api.put(where, enable="0", digest=options.get("digest"))
        return
    await _write_rules(api, node, address, wanted.rules)
    # Switched on last: with the rules of before it might lock everybody out.
    options = await api.get(where)
    values = {"enable": "1", "policy_in": wanted.policy_in, "policy_out": wanted.policy_out}
    if any(str(options.get(key)) != value for key, value in values.items()):
        await api.put(where, digest=options.get("digest"), **values)


async def _write_rules(
    api: Api, node: str, address: Address, wanted: Sequence[FirewallRule]
) -> None:
    rows = url(node, address, "firewall", "rules")
    told = [parameters(rule) for rule in wanted]
    before = sorted(await api.get(rows), key=lambda rule: int(rule.get("pos", 0)))
    if [pve_rule.told(rule) for rule in before] == told:
        return
    # A new rule lands at the top whatever position is asked for: so the last comes first.
    for rule in reversed(told):
        await api.post(rows, **rule)
    for position in range(len(told) + len(before) - 1, len(told) - 1, -1):
        # With the digest of what is there, so that nobody else's new rule is the one that goes.
        there = await api.get(rows)
        if len(there) != position + 1:
            raise Conflict(
                f"somebody else changes the firewall rules of {address} at the same time",
                hint="plan again",
            )
        where = url(node, address, "firewall", "rules", position)
        await api.delete(where, digest=there[0].get("digest"))


def _seen_rule(rule: Mapping[str, Any]) -> FirewallRule:
    ports = str(rule.get("dport") or "")
    return FirewallRule(
        direction="out" if rule.get("type") == "out" else "in",
        action=_policy(rule.get("action"), "DROP"),
        source=rule.get("source") or None,
        dest=rule.get("dest") or None,
        proto=rule.get("proto") or None,
        ports=tuple(port.replace(":", "-") for port in ports.split(",") if port),
        comment=str(rule.get("comment") or "").strip(),
    )


def _policy(value: object, default: str) -> Any:
    return str(value).upper() if str(value).upper() in _POLICIES else default
