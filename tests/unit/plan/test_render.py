"""Plans as text for people."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from tests.unit.plan.worlds import (
    OLD,
    clone,
    complete,
    desired,
    observed,
    plain,
    planned,
    seen,
    template,
)

from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.change import Action, Change, FieldChange, Impact
from phoenix_hypervisor.model.desired import Firewall, FirewallRule, Nic
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.as_json import dump
from phoenix_hypervisor.plan.render import about, seconds, text


def shown(plan: Plan, *, colour: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=400, force_terminal=colour, color_system="standard" if colour else None
    )
    console.print(text(plan), highlight=False)
    return out.getvalue()


BASE = template(900)
WEB = clone(101, BASE, name="web")
FOLDER = desired(BASE, WEB, plain(102, name="db"), plain(103, name="new", nics=()))


def test_a_whole_plan() -> None:
    world = observed(
        FOLDER,
        seen(BASE, fingerprint=OLD),
        seen(
            replace(WEB, nics=(Nic("eth0", "vmbr0"),), firewall=Firewall(enabled=True)), stack="lab"
        ),
        seen(replace(plain(102, name="db"), disk_gb=9)),
        seen(plain(200), stack=None),
        seen(plain(201)),
        seen(plain(202), protected=True),
        resources={},
    )
    plan = replace(planned(FOLDER, world, prune=True), refusals=("the moon is too close",))
    assert (
        shown(plan)
        == """\
Plan for the stack lab on incus:

  + create bridge/vmbr0  live · about 3 s · it is not there, and guests use it
  - delete lxc/201  destroys data · about 1 s · it is no longer in the files
  * configure lxc/900 (g900)  live; its services may restart · about 29 s · its inside is not as \
its features, their options and their files are now: nginx; its snapshot base is taken again; \
clones made before stay as they are: lxc/101
  + create storage/tank  live · about 3 s · it is not there, and guests use it
  ~ update lxc/101 (web)  restarts it · about 6 s · firewall, network.eth0.address, \
network.eth0.gateway differ from the files
      firewall: {"policy_in": "DROP", "policy_out": "ACCEPT", "rules": []} → nothing
      network.eth0.address: nothing → 10.0.0.101/24
      network.eth0.gateway: nothing → 10.0.0.1
      after bridge/vmbr0, storage/tank
  ± replace lxc/102 (db)  destroys data · about 47 s · disk_gb can only change by making it anew; \
its root disk is lost
      disk_gb: 9 → 8
      after bridge/vmbr0, storage/tank
  + create lxc/103 (new)  live · about 44 s · it is not there
      from debian-13-standard, 1 core, 512 MiB, 8 GiB on tank
      after storage/tank

3 to create, 1 to delete, 1 to configure, 1 to update, 1 to replace; about 50 s.
Not managed here, left alone: lxc/200
note: lxc/202 is no longer in the files, but protected: kept
note: lxc/103 has no `network_config`, and so no network card is made
refused: the moon is too close
"""
    )


def test_no_changes() -> None:
    plan = planned(FOLDER, complete(FOLDER))
    assert shown(plan) == (
        "Plan for the stack lab on incus: no changes. The world is as the files say.\n"
    )


def test_a_refused_plan_never_says_that_all_is_well() -> None:
    foreign = seen(plain(102, name="by-hand"), stack=None)
    plan = planned(desired(plain(102)), observed(desired(plain(102)), foreign))
    told = shown(plan)
    assert "as the files say" not in told
    assert "refused: lxc/102: the id is taken by “by-hand”" in told


def test_kept_without_prune() -> None:
    plan = planned(desired(), complete(desired(plain(102))))
    assert "kept without --prune: lxc/102, bridge/vmbr0, storage/tank" in shown(plan)


def test_stop_start_and_adopt_have_their_signs() -> None:
    changes = [Change(lxc(n), action, reason="why") for n, action in enumerate(Action)]
    lines = shown(Plan("lab", "sim", tuple(changes))).splitlines()[2:]
    signs = [line.split()[:2] for line in lines if line.startswith("  ")]
    assert signs == [[action.symbol, action.value] for action in Action]
    assert lines[-1] == (
        "1 to create, 1 to update, 1 to replace, 1 to delete, 1 to start, 1 to stop, "
        "1 to configure, 1 to adopt, 1 with a snapshot to take or delete, 1 to roll back; "
        "less than 1 s."
    )


NASTY = "[red]x[/] [bold]\\[/bold] [link=http://x]y[/link]\\"


def nasty() -> Plan:
    change = Change(
        Address(f"lxc/{NASTY}"),
        Action.UPDATE,
        Impact.RESTART,
        (FieldChange(NASTY, NASTY, [NASTY]), FieldChange("x", {"k": NASTY}, None)),
        reason=NASTY,
        name="[red]x",
        after=(Address(f"bridge/{NASTY}"),),
    )
    address = Address(f"lxc/{NASTY}")
    return Plan(NASTY, "sim", (change,), (address,), (NASTY,), (NASTY,), (address,))


@pytest.mark.parametrize("colour", [False, True])
def test_markup_in_names_and_values_is_only_text(colour: bool) -> None:
    told = shown(nasty(), colour=colour)
    assert "[red]x" in told
    assert "]8;" not in told  # no terminal link was made of it
    plain_text = shown(nasty())
    # Each place where it was put shows it whole; lists and maps show it as JSON, and cut.
    assert plain_text.count(NASTY) == 10
    assert "[dim]" not in plain_text
    assert "[/]" in plain_text


def test_no_colour_runs_on_after_its_word() -> None:
    told = shown(nasty(), colour=True)
    for line in told.splitlines():
        opened = line.count("\x1b[") - line.count("\x1b[0m")
        assert opened == line.count("\x1b[0m"), line


def test_without_colours_there_are_no_escapes() -> None:
    assert "\x1b" not in shown(nasty())


def test_long_values_are_cut_and_types_are_told_apart() -> None:
    change = Change(
        lxc(1),
        Action.UPDATE,
        fields=(
            FieldChange("a", "x" * 61, "x" * 60),
            FieldChange("b", True, 1),
            FieldChange("c", ["ä"], None),
            FieldChange("d", "", 1.5),
        ),
    )
    lines = shown(Plan("lab", "sim", (change,))).splitlines()[3:7]
    assert [line.strip() for line in lines] == [
        f"a: {'x' * 59}… → {'x' * 60}",
        "b: true → 1",
        'c: ["ä"] → nothing',
        "d:  → 1.5",
    ]


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0.1 s"),
        (0.42, "0.4 s"),
        (0.96, "1 s"),
        (1.6, "2 s"),
        (99, "99 s"),
        (100, "2 min"),
        (3600, "60 min"),
    ],
)
def test_durations(amount: float, words: str) -> None:
    assert seconds(amount) == words


def test_a_plan_of_a_host_names_it() -> None:
    plan = Plan("lab", "incus", host="node7")
    assert shown(plan).startswith("Plan for the host node7, by the stack lab on incus: no changes")
    assert "the host node7 (this machine), by" in shown(replace(plan, here=True))
    assert (dump(plan)["host"], dump(plan)["here"]) == ("node7", False)
    assert "host" not in dump(Plan("lab", "incus"))


def test_a_diff_is_shown_line_by_line_and_says_what_is_left_out() -> None:
    long = "\n".join(["@@ -1,150 +1 @@", *(f"-[share{n}]" for n in range(150)), "+[b]"])
    fields = (
        FieldChange("file /a", "x", "y", "file /a: 1 line go, 1 line come", "-x [/red]\n+y"),
        FieldChange("command Write it", None, "cd / && sh -c", "command Write it"),
        FieldChange("file /b", "", "", "file /b: many", long),
    )
    address = Address("host/samba")
    plan = Plan("lab", "sim", (Change(address, Action.CONFIGURE, fields=fields),))
    lines = [line.strip() for line in shown(plan).splitlines()[3:]]
    assert lines[:6] == [
        "file /a: 1 line go, 1 line come",
        "-x [/red]",
        "+y",
        "command Write it",
        "file /b: many",
        "@@ -1,150 +1 @@",
    ]
    assert lines[124:126] == [
        "-[share118]",
        "… 32 more lines (31 go, 1 come); --json shows them all",
    ]
    told = dump(plan)["changes"][0]["fields"]
    assert (told[2]["diff"], "diff" in told[1], told[1]["after"]) == (long, False, "cd / && sh -c")


def test_a_guess_is_no_finer_than_a_second() -> None:
    assert [about(amount) for amount in (0, 0.9, 1.4, 200)] == [
        "less than 1 s",
        "less than 1 s",
        "about 1 s",
        "about 3 min",
    ]


def test_an_update_that_also_configures_says_what() -> None:
    world = observed(FOLDER, seen(replace(BASE, memory_mb=256), fingerprint=OLD))
    line = next(one for one in shown(planned(FOLDER, world)).splitlines() if "lxc/900" in one)
    assert line.startswith("  ~ update + configure lxc/900 (g900)")
    assert "memory_mb differs from the files; its inside is not as" in line
    assert "their files are now: nginx" in line


def test_rules_of_a_firewall_are_told_one_by_one() -> None:
    rules = (
        FirewallRule("in", "ACCEPT", "10.0.0.3,10.0.0.4", None, "tcp", ("80", "90-99"), "mine"),
        FirewallRule("out", "REJECT", None, "10.9.0.0/16"),
    )
    walled = replace(WEB, firewall=Firewall(True, rules, "ACCEPT"))
    world = desired(BASE, walled)
    told = [
        "        ACCEPT in tcp 80, 90-99 from 10.0.0.3,10.0.0.4 (mine)",
        "        REJECT out to 10.9.0.0/16",
    ]
    for there in ((), (seen(WEB, stack="lab"),)):
        lines = shown(planned(world, observed(world, seen(BASE), *there))).splitlines()
        assert [line for line in lines if line.startswith("        ")] == told
