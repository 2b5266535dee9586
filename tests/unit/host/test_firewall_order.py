"""The firewall's writes come in an order in which nobody who is let in is shut out for a moment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_hypervisor.host import _rules
from phoenix_hypervisor.host._firewall_world import Way, seen_world, states
from phoenix_hypervisor.host._merge import Told
from phoenix_hypervisor.host._packet import Packet
from phoenix_hypervisor.host.firewall import PART
from phoenix_hypervisor.host.part import Choice, Decided, Seen
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.errors import Conflict
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.firewall import Alias, ClusterFirewall, Group, HostRule, IpSet
from phoenix_hypervisor.model.observed import Fields
from phoenix_hypervisor.model.pve_rule import told

MINE = {"peer": "10.0.0.7", "server": "10.0.0.2", "port": 22, "interface": "vmbr0"}
SSH = HostRule(proto="tcp", ports=("22",), source="10.0.0.7")
ALL = HostRule(proto="tcp", ports=("22",))
OFFICE = HostRule(proto="tcp", ports=("22",), source="office")
SHUT = HostRule(action="DROP", source="10.0.0.0/8")


def _rows(*rules: HostRule) -> list[dict[str, Any]]:
    return [{**_rules.parameters(rule, "home"), "pos": n} for n, rule in enumerate(rules)]


def _seen(
    *,
    node: Sequence[HostRule] = (),
    rules: Sequence[HostRule] = (),
    policy: str = "DROP",
    enabled: bool = True,
    **facts: Any,
) -> Seen:
    switch: Fields = {
        "enabled": enabled,
        "node.enabled": True,
        "policy_in": policy,
        "policy_out": "ACCEPT",
    }
    own = {"node": "pve1", "node_rules": _rows(*node), "rules": _rows(*rules), "mine": [MINE]}
    return Seen({Address("firewall/options"): switch}, facts={**own, **facts})


def _decide(seen: Seen, firewall: ClusterFirewall) -> Decided:
    desired = Desired(Path("/nowhere"), "home", host=Host(setup=HostSetup(firewall=firewall)))
    return PART.decide(desired, seen, Choice())


def _wanted(**words: Any) -> ClusterFirewall:
    return ClusterFirewall(declared=True, **words)


def _order(decided: Decided) -> list[str]:
    """The tasks' addresses; each must wait for the one before."""
    assert decided.refusals == ()
    addresses = [task.address for task in decided.tasks]
    assert [task.after for task in decided.tasks] == [
        tuple(addresses[n - 1 : n]) for n in range(len(addresses))
    ]
    return [str(address).removeprefix("firewall/") for address in addresses]


def test_a_way_in_that_moves_from_one_list_to_the_other_is_made_before_it_goes() -> None:
    up = _decide(_seen(node=[SSH]), _wanted(rules=(SSH,)))
    assert _order(up) == ["datacenter", "pve1"]
    down = _decide(_seen(rules=[SSH]), _wanted(node_rules=(SSH,)))
    assert _order(down) == ["pve1", "datacenter"]


def test_a_way_in_is_exchanged_for_another_in_one_apply() -> None:
    assert _order(_decide(_seen(rules=[SSH]), _wanted(rules=(ALL,)))) == ["datacenter"]


def test_a_policy_that_lets_in_comes_before_the_rule_goes_and_one_that_shuts_after() -> None:
    assert _order(_decide(_seen(rules=[SSH]), _wanted(policy_in="ACCEPT"))) == [
        "options",
        "datacenter",
    ]
    opened = _seen(rules=[SHUT, SSH], policy="ACCEPT", node=[SSH])
    assert _order(_decide(opened, _wanted(rules=(SSH,)))) == ["datacenter", "pve1", "options"]


def test_an_alias_leaves_only_after_the_rule_that_lets_in_without_it() -> None:
    there = _seen(rules=[OFFICE], aliases={"office": "10.0.0.0/24"})
    wanted = _wanted(rules=(SSH,), aliases=(Alias("office", "10.9.0.0/24"),))
    assert _order(_decide(there, wanted)) == ["datacenter", "alias/office"]


def test_what_a_rule_names_is_there_before_the_rule() -> None:
    wanted = _wanted(
        rules=(HostRule(group="ways"),),
        groups=(Group("ways", (HostRule(source="+admins"),)),),
        ipsets=(IpSet("admins", ("desk",)),),
        aliases=(Alias("desk", "10.0.0.7"),),
    )
    made = ["alias/desk", "ipset/admins", "group/ways", "datacenter"]
    assert _order(_decide(_seen(rules=[SSH]), wanted)) == made


def test_where_every_order_shuts_out_for_a_moment_it_is_refused_and_told() -> None:
    """The end would be good: then `office` is another subnet."""
    there = _seen(rules=[OFFICE], aliases={"office": "10.0.0.0/24"})
    drop = HostRule(action="DROP", source="office")
    wanted = _wanted(rules=(drop, SSH), aliases=(Alias("office", "10.9.0.0/24"),))
    told = "\n".join(_decide(there, wanted).refusals)
    assert "alias/office shuts out 10.0.0.7 from port 22" in told
    assert "firewall/datacenter shuts out 10.0.0.7 from port 22" in told
    assert "in two applies" in told
    first = _wanted(rules=(SSH,), aliases=(Alias("office", "10.9.0.0/24"),))
    assert _order(_decide(there, first)) == ["datacenter", "alias/office"]


def _other(**words: Any) -> dict[str, Any]:
    return {"others": {"pve2": {"rules": [], "enabled": True, "address": "10.0.0.3", **words}}}


DROPS = _rows(SHUT)


@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        (_other(), "the policy for incoming traffic, DROP"),
        (_other(rules=DROPS) | {"local_network": "10.0.0.0/24"}, "rule 0 of the node: in DROP"),
        (_other(address="192.0.2.3") | {"local_network": "10.0.0.0/24"}, "the policy for"),
        (_other(rules=_rows(SSH, HostRule(proto="tcp", ports=("8006",)))), None),
        (_other() | {"local_network": "10.0.0.0/24"}, None),
        (_other(enabled=False), None),
    ],
)
def test_switched_on_it_is_judged_for_every_node(
    facts: dict[str, Any], refused: str | None
) -> None:
    decided = _decide(_seen(enabled=False, **facts), _wanted(node_rules=(SSH,)))
    if refused is None:
        assert _order(decided) == ["pve1", "options"]
    else:
        assert "lock you out: connections from 10.0.0.7 to port 22 of pve2" in decided.refusals[0]
        assert refused in decided.refusals[0]


def test_another_node_that_shuts_out_already_hinders_nothing() -> None:
    there = _seen(node=[SSH], **_other())
    assert _order(_decide(there, _wanted(node_rules=(ALL,)))) == ["pve1"]
    opened = _seen(node=[SSH], rules=[ALL], **_other())
    assert "of pve2 meet" in _decide(opened, _wanted(node_rules=(SSH,))).refusals[0]


def test_a_node_that_cannot_be_read() -> None:
    unread: dict[str, Any] = {"unread": {"pve2": "no route to host"}}
    off = _decide(_seen(enabled=False, **unread), _wanted(node_rules=(SSH,)))
    assert "pve2 too" in off.refusals[0]
    assert "no route to host" in off.refusals[0]
    running = _decide(_seen(node=[SSH], **unread), _wanted(node_rules=(SSH,), rules=(ALL,)))
    assert running.refusals == ()
    assert any("pve2" in note for note in running.notes)


_ONE = st.builds(
    HostRule,
    action=st.sampled_from(("ACCEPT", "ACCEPT", "DROP")),
    source=st.sampled_from((None, "10.0.0.7", "10.0.0.0/24", "office", "+admins", "192.0.2.1")),
)
_LISTS = st.lists(_ONE, max_size=5)
_POLICIES = st.sampled_from(("ACCEPT", "DROP"))
_NETS = st.sampled_from(("10.0.0.0/24", "10.0.0.7", "192.0.2.0/24"))


class _Served:
    """Lists of rules as Proxmox VE keeps them: a new one on top, moves, and positions."""

    name = "pve1"

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = [dict(row) for row in rows]
        self.seen: list[list[Told]] = []

    async def get(self, path: str, /, **query: Any) -> Any:
        del path, query
        return [{**row, "pos": n} for n, row in enumerate(self.rows)]

    async def send(self, method: str, path: str, /, **values: Any) -> Any:
        *_, last = path.split("/")
        if method == "POST":
            self.rows.insert(0, values)
        elif method == "DELETE":
            del self.rows[int(last)]
        elif "moveto" in values:
            row, to = self.rows.pop(int(last)), int(values["moveto"])
            self.rows.insert(to - (to > int(last)), row)
        else:
            self.rows[int(last)] |= values
        self.seen.append([told(row) for row in self.rows])


@given(_LISTS, _LISTS, st.lists(st.booleans(), min_size=5, max_size=5))
async def test_the_writes_are_those_that_were_judged(
    there: list[HostRule], wanted: list[HostRule], ours: list[bool]
) -> None:
    rows = [
        row if own else {**row, "comment": "theirs"}
        for row, own in zip(_rows(*there), ours, strict=False)
    ]
    served = _Served(rows)
    await _rules.write(served, "/rules", wanted, "home")  # type: ignore[arg-type]
    assert [list(call.after) for call in _rules.calls(rows, wanted, "home")] == served.seen
    made = [told(row) for row in served.rows]
    assert [one for one in made if one["comment"] != "theirs"] == [
        _rules.parameters(rule, "home") for rule in wanted
    ]


@settings(max_examples=300)
@given(
    node=_LISTS,
    rules=_LISTS,
    new_node=_LISTS,
    new_rules=_LISTS,
    policy=_POLICIES,
    new_policy=_POLICIES,
    net=_NETS,
    new_net=_NETS,
)
def test_whatever_is_planned_keeps_the_way_open_at_every_write(
    *,
    node: list[HostRule],
    rules: list[HostRule],
    new_node: list[HostRule],
    new_rules: list[HostRule],
    policy: str,
    new_policy: Any,
    net: str,
    new_net: str,
) -> None:
    seen = _seen(node=node, rules=rules, policy=policy, aliases={"office": net},
                 ipsets={"admins": [net]})  # fmt: skip
    firewall = _wanted(
        node_rules=tuple(new_node),
        rules=tuple(new_rules),
        policy_in=new_policy,
        aliases=(Alias("office", new_net),),
        ipsets=(IpSet("admins", (new_net,)),),
    )
    decided = _decide(seen, firewall)
    way = Way("pve1", Packet("10.0.0.7", "10.0.0.2", 22, "vmbr0"))
    world = seen_world(seen)
    opened = [world.verdict(way).passes]
    for task in decided.tasks if not decided.refusals else ():
        for after in states(task, firewall, "home", world):
            world = after
            opened.append(world.verdict(way).passes)
    assert opened == sorted(opened)
    if decided.tasks and not decided.refusals:
        assert opened[-1]


@pytest.mark.parametrize("kept", [True, False])
async def test_a_way_in_that_somebody_took_away_since_the_plan(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    firewall = _wanted(enabled=True, policy_in="DROP", policy_out="ACCEPT")
    theirs = {**_rows(SSH)[0], "comment": "theirs"}
    off = _seen(enabled=False)
    seen = Seen(off.things, facts={**off.facts, "node_rules": [theirs]})
    (task,) = _decide(seen, firewall).tasks
    now = seen if kept else off
    sent: list[str] = []

    class Node:
        name, is_pve = "pve1", True

        async def get(self, path: str) -> dict[str, Any]:
            return {}

        async def send(self, method: str, path: str, **values: Any) -> None:
            sent.append(f"{method} {path}")

    async def look(*_: object) -> Seen:
        return now

    monkeypatch.setattr(type(PART), "look", look)
    desired = Desired(Path("/nowhere"), "home", host=Host(setup=HostSetup(firewall=firewall)))
    if kept:
        await PART.make(Node(), task, desired, print)  # type: ignore[arg-type]
        assert sent == ["PUT /cluster/firewall/options"]
        return
    with pytest.raises(Conflict, match=r"moved since the plan: .*10\.0\.0\.7 from port 22"):
        await PART.make(Node(), task, desired, print)  # type: ignore[arg-type]
    assert sent == []


def test_another_node_of_which_a_rule_can_not_be_judged_is_told() -> None:
    on_a_card = HostRule(proto="tcp", ports=("22",), interface="vmbr0")
    seen = _seen(node=(ALL,), **_other(rules=_rows(on_a_card)))
    decided = _decide(seen, _wanted(enabled=True, policy_in="DROP", node_rules=(SSH,)))
    assert decided.refusals == ()
    assert any("pve2 does not let you in now either" in note for note in decided.notes)
