"""What an examination of the host's features becomes in a plan."""

from pathlib import Path

from tests.unit.features.guests import desired

from phoenix_hypervisor.app.host.software import as_guest, decided
from phoenix_hypervisor.host.part import Decided
from phoenix_hypervisor.host.planning import make
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange
from phoenix_hypervisor.model.desired import Desired, Host, HostUser
from phoenix_hypervisor.model.drift import Difference, FeatureDrift
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.shares import NfsExport, Shares
from phoenix_hypervisor.model.host.system import System

TURNS = {"base_setup": 10, "nfs_server": 50, "package_sources": 5, "samba": 50}


def host(name: str) -> Address:
    return Address(f"host/{name}")


def one(drift: FeatureDrift) -> tuple[str, tuple[FieldChange, ...]]:
    (task,) = decided([drift], TURNS).tasks
    assert (task.address, task.action) == (host(drift.name), Action.CONFIGURE)
    return task.reason, task.fields


def test_what_is_as_it_should_be_needs_nothing() -> None:
    assert decided([FeatureDrift("samba")], TURNS) == decided([], TURNS)


def test_reasons() -> None:
    assert one(FeatureDrift("samba", current=None))[0] == (
        "it was not applied here yet, or its last apply failed"
    )
    changed = FeatureDrift("samba", current=False)
    assert one(changed)[0] == "the files or Phoenix changed since it was applied"
    differs = FeatureDrift("samba", (Difference("package", "samba", "not installed", "installed"),))
    assert one(differs)[0] == "it is no longer as it was applied"
    begun = FeatureDrift(
        "samba", differs.differences, unknown="the rest is not known (host/inside: samba: no smbd)"
    )
    assert one(begun)[0] == ("it is no longer as it was applied; the rest is not known (no smbd)")


def test_one_that_can_not_be_examined_is_told_and_tried() -> None:
    lost = FeatureDrift("nfs_server", unknown="host/inside: nfs_server: no nfsd", failed=True)
    reason, fields = one(lost)
    assert reason == (
        "as things are this will fail: no nfsd; whether it is as it was applied is not known"
    )
    assert fields == ()


def test_one_that_can_not_be_known_before_another_is_mended_is_due() -> None:
    zone = FeatureDrift("base_setup", (Difference("link", "/etc/localtime", "UTC", "Paris"),))
    hidden = FeatureDrift("samba", unknown="it can't be known before (/srv: no account media)")
    tasks = decided([zone, hidden], TURNS).tasks
    assert [task.address for task in tasks] == [host("base_setup"), host("samba")]
    assert "no account media" in tasks[1].reason


def test_all_that_an_apply_would_do_is_told() -> None:
    conf_diff = "@@ -1,3 +1,3 @@\n # head\n-# old\n-a = 1\n+a = 2\n+b = 3\n c = 4"
    conf = Difference("file", "/etc/a", diff=conf_diff)
    notes_diff = "@@ -1 +1 @@\n-# by hand\n+# by Phoenix"
    notes = Difference("file", "/etc/b", diff=notes_diff)
    new = Difference("file", "/etc/c", "missing", "made", diff="@@ -0,0 +1 @@\n+a = 1")
    keys = Difference("command", "Write the keys of ann", after="cd / && runuser -u ann")
    mode = Difference("mode", "/etc/a", "666", "644")
    follows = Difference("command", "systemd", after="reads its units", follows=True)
    login = Difference("command", "Set the SMB password of ann", follows=True)
    unit = Difference("service", "a.service", "running", "restarted", follows=True)
    _, fields = one(FeatureDrift("samba", (conf, notes, new, keys, mode, follows, login, unit)))
    assert fields == (
        FieldChange(
            "file /etc/a",
            "a = 1",
            "a = 2; b = 3",
            "file /etc/a: 2 lines go, 2 lines come",
            conf_diff,
        ),
        FieldChange(
            "file /etc/b",
            "# by hand",
            "# by Phoenix",
            "file /etc/b: 1 line goes, 1 line comes",
            notes_diff,
        ),
        FieldChange("file /etc/c", "missing", "a = 1", "file /etc/c: missing → made", new.diff),
        FieldChange(
            "command Write the keys of ann",
            None,
            "cd / && runuser -u ann",
            "command Write the keys of ann",
        ),
        FieldChange("mode /etc/a", "666", "644"),
        FieldChange("then: systemd", None, "reads its units", "then: systemd reads its units"),
        FieldChange(
            "then: Set the SMB password of ann", None, None, "then: Set the SMB password of ann"
        ),
        FieldChange("then: service a.service", "running", "restarted", "then: a.service restarted"),
    )


def test_a_smaller_turn_goes_first_and_only_those_who_need_it_wait_for_its_success() -> None:
    found = [FeatureDrift(name, current=None) for name in sorted(TURNS, key=lambda n: TURNS[n])]
    tasks = decided(found, TURNS).tasks
    sources, people = host("package_sources"), host("base_setup")
    assert {task.address: task.after for task in tasks} == {
        sources: (),
        people: (sources,),
        host("nfs_server"): (sources,),
        host("samba"): (sources, people),
    }
    behind = {task.address: task.behind for task in tasks}
    assert behind[host("nfs_server")] == behind[host("samba")] == (sources, people)


def test_one_that_fails_does_not_keep_others_from_being_applied() -> None:
    tasks = decided(
        [FeatureDrift("nfs_server", current=None), FeatureDrift("dnsmasq", current=None)],
        {"nfs_server": 50, "dnsmasq": 60},
    ).tasks
    plan = make("lab", "incus", [Decided(tasks)])
    (nfs,), (dns,) = (change.steps for change in plan.changes)
    assert (dns.after, dns.behind) == ((), (nfs.id,))


def test_what_the_machine_can_not_have_is_left_out_and_told() -> None:
    found = [
        FeatureDrift("package_sources", current=None, failed=True, unsupported="no Proxmox VE"),
        FeatureDrift("samba", current=None),
    ]
    plan = decided(found, TURNS, ["an installation was interrupted"])
    assert [(task.address, task.after) for task in plan.tasks] == [(host("samba"), ())]
    assert plan.notes == ("an installation was interrupted", "left out here: no Proxmox VE")


def test_the_host_is_a_guest_with_the_features_that_the_files_ask_for_in_turn() -> None:
    setup = HostSetup(
        shares=Shares(exports=(NfsExport("/srv", ("*",)),)),
        system=System(repositories="no-subscription", microcode=True),
    )
    found = as_guest(desired(host=Host(users=(HostUser("ann"),), setup=setup)))
    assert found.kind == "host"
    assert [use.name for use in found.features] == [
        "package_sources",
        "base_setup",
        "microcode",
        "nfs_server",
    ]
    nothing = as_guest(Desired(folder=Path("/nowhere"), stack="test"))
    assert nothing.features == ()
