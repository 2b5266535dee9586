"""What a plan says though it refuses nothing: guests without a card, addresses that are taken."""

from dataclasses import replace

from tests.unit.plan.worlds import complete, desired, observed, plain, planned, seen

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Mount, Nic
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan

WEB = plain(101, name="web")
FOLDER = desired(WEB)
OTHER = plain(500, name="by-hand", nics=WEB.nics)


def clashes(plan: Plan) -> list[str]:
    return [note for note in plan.notes if "is taken by" in note]


def test_a_new_guest_without_a_card_is_told_once() -> None:
    bare = replace(WEB, nics=())
    (note,) = planned(desired(bare), Observed()).notes
    assert note == "lxc/101 has no `network_config`, and so no network card is made"
    (note,) = planned(desired(bare, plain(102, nics=()), plain(103)), Observed()).notes
    assert note.startswith("lxc/101, lxc/102 have no `network_config`")
    assert planned(desired(bare), complete(desired(bare))).notes == ()
    assert planned(FOLDER, Observed()).notes == ()


def test_an_address_that_somebody_else_holds() -> None:
    foreign = seen(OTHER, stack=None)
    (note,) = clashes(planned(FOLDER, observed(FOLDER, foreign)))
    assert note.startswith("lxc/101: the address 10.0.0.101 is taken by lxc/500 (by-hand), which")
    assert "not managed here" in note


def test_also_one_that_only_shows_while_it_runs() -> None:
    foreign = replace(seen(OTHER, stack=None), fields={}, addresses=("10.0.0.101",))
    assert len(clashes(planned(FOLDER, observed(FOLDER, foreign)))) == 1


def test_an_own_guest_that_the_files_dropped_holds_it_until_it_is_pruned() -> None:
    world = observed(FOLDER, seen(OTHER))
    (note,) = clashes(planned(FOLDER, world))
    assert "which the files no longer name" in note
    assert clashes(planned(FOLDER, world, prune=True)) == []


def test_another_bridge_is_another_network() -> None:
    elsewhere = replace(OTHER, nics=(Nic("eth0", "other", "10.0.0.101/24"),))
    assert clashes(planned(FOLDER, observed(FOLDER, seen(elsewhere, stack=None)))) == []


def test_guests_of_the_files_are_never_told_as_others() -> None:
    """Also where a target leaves them out of the plan: what the files say of them is to come."""
    folder = desired(WEB, plain(102))
    moved = seen(replace(plain(102), nics=WEB.nics))
    plan = planned(folder, observed(folder, moved), targets=frozenset({lxc(101)}))
    assert [one.address for one in plan.changes] == ["lxc/101"]
    assert clashes(plan) == []


def test_dhcp_is_no_address() -> None:
    nics = (Nic("eth0", "vmbr0", "dhcp"),)
    folder = desired(replace(WEB, nics=nics))
    foreign = seen(replace(OTHER, nics=nics), stack=None)
    assert clashes(planned(folder, observed(folder, foreign))) == []


def test_what_a_changed_mount_leaves_behind() -> None:
    before = replace(WEB, mounts=(Mount("/old", "/srv/a.b"),))
    after = replace(WEB, mounts=(Mount("/new", "/srv/a.b"), Mount("/more", "/more")))
    (note,) = planned(desired(after), complete(desired(before))).notes
    assert note == (
        "lxc/101: /srv/a.b was /old, and what is in that stays there; it will be /new, and "
        "nothing is moved"
    )
