"""Missing privileges are told with the commands that grant them."""

import pytest

from phoenix_hypervisor.drivers.proxmox.api.rights import denied, grant, root_only


@pytest.mark.parametrize(
    ("text", "missing", "command"),
    [
        (
            "Permission check failed (/vms/101, VM.Config.Options)",
            "VM.Config.Options on /vms/101",
            "`pveum role add Phoenix 2>/dev/null; "
            "pveum role modify Phoenix --append 1 --privs VM.Config.Options && "
            "pveum acl modify / --users a@pve --tokens 'a@pve!t' --roles Phoenix`",
        ),
        (
            "Permission check failed (/storage/local, Datastore.AllocateSpace|Datastore.Audit)",
            "Datastore.AllocateSpace or Datastore.Audit on /storage/local",
            "--privs Datastore.AllocateSpace && pveum acl modify / ",
        ),
        (
            "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)",
            "SDN.Use on /sdn/zones/localnetwork/vmbr0",
            "pveum acl modify / ",
        ),
        ("Permission check failed (/, Sys.Modify)", "Sys.Modify on /", "pveum acl modify / "),
    ],
)
def test_denied(text: str, missing: str, command: str) -> None:
    error = denied(text, "a@pve!t")
    assert error.missing == missing
    assert command in error.hint
    assert "a@pve!t may not" in error.message


def test_denied_without_a_reason() -> None:
    error = denied("Permission check failed", "a@pve!t")
    assert error.missing == ""
    assert "pveum user permissions 'a@pve!t'" in error.hint


def test_a_users_role_is_given_to_the_user() -> None:
    assert "--users a@pve --roles" in grant("a@pve", "/vms/1", "VM.Audit")
    assert "--tokens" not in grant("a@pve", "/vms/1", "VM.Audit")


def test_root_only_is_done_over_the_node() -> None:
    error = root_only("only root can set 'args' config", "root@pam!t")
    assert error.missing == "root@pam"
    assert "root@pam!t" in error.message
    assert "hypervisor.ssh" in error.hint
