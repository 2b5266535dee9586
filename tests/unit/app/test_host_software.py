"""What an examination of the host's features becomes in a plan."""

from pathlib import Path

from tests.unit.features.guests import desired

from phoenix_hypervisor.app.host.software import as_guest, decided
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
    assert one(FeatureDrift("samba", current=None))[0] == "it was never applied here"
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
        "whether it is as it was applied is not known, and it can't be examined: no nfsd"
    )
    assert fields == ()


def test_fields_are_told_by_what_differs_and_not_by_what_follows() -> None:
    conf = Difference(
        "file", "/etc/a", diff="@@ -1,3 +1,3 @@\n# head\n-# old\n-a = 1\n+a = 2\n+b = 3\n c = 4"
    )
    notes = Difference("file", "/etc/b", diff="@@ -1 +1 @@\n-# by hand\n+# by Phoenix")
    mode = Difference("mode", "/etc/a", "666", "644")
    follows = Difference("command", "Restart a", after="systemctl restart a", follows=True)
    _, fields = one(FeatureDrift("samba", (conf, notes, mode, follows)))
    assert fields == (
        FieldChange("file /etc/a", "a = 1", "a = 2; b = 3"),
        FieldChange("file /etc/b", "# by hand", "# by Phoenix"),
        FieldChange("mode /etc/a", "666", "644"),
    )


def test_a_smaller_turn_goes_first_and_equals_do_not_wait_for_each_other() -> None:
    found = [FeatureDrift(name, current=None) for name in sorted(TURNS, key=lambda n: TURNS[n])]
    after = {task.address: task.after for task in decided(found, TURNS).tasks}
    assert after == {
        host("package_sources"): (),
        host("base_setup"): (host("package_sources"),),
        host("nfs_server"): (host("package_sources"), host("base_setup")),
        host("samba"): (host("package_sources"), host("base_setup")),
    }


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
