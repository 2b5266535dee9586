"""Samba's options, its configuration's text, and what the host's words become."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features._samba_conf import accept, is_written, text
from phoenix_hypervisor.features.samba import Samba, SambaOptions, logins
from phoenix_hypervisor.model.desired import Host
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.shares import Samba as Wanted
from phoenix_hypervisor.model.host.shares import SambaShare, SambaUser, Shares
from phoenix_hypervisor.model.secret import Secret

ANN = {"ann": {"password": {"secret": "ANN"}}}


def options(**words: Any) -> SambaOptions:
    return SambaOptions.model_validate(words)


def test_the_file() -> None:
    share = {
        "name": "media",
        "path": "/srv/media",
        "valid_users": ["ann", "@family"],
        "options": "browseable=yes writable=yes, Create_Mask=0664 guest ok=no",
    }
    wanted = options(users=ANN, user="files", shares=[share], settings={"log level": 2})
    found = text(wanted, ["/mnt/media"])
    common, _, shares = found.partition("\n\n")
    assert common.splitlines()[1] == "[global]"
    assert "   log level = 2" in common.splitlines()
    assert "   disable netbios = yes" in common.splitlines()
    assert shares.splitlines() == [
        "[media]",
        "   path = /mnt/media",
        "   valid users = ann @family",
        "   force user = files",
        "   browseable = yes",
        "   writable = yes",
        "   create mask = 0664",
        "   guest ok = no",
    ]


def test_ones_own_settings_win_over_ours() -> None:
    found = text(options(settings={"Map_To_Guest": "Bad User", "smb ports": 4450}), [])
    assert "   map to guest = Bad User\n" in found
    assert "never" not in found
    assert found.count("smb ports") == 1


@pytest.mark.parametrize(
    "share",
    [
        {"name": "global", "path": "/a"},
        {"name": "a]\n[b", "path": "/a"},
        {"name": " a", "path": "/a"},
        {"name": "a", "path": "/a/../etc"},
        {"name": "a", "path": "a b"},
        {"name": "a", "path": "/a", "options": {"read only\n[x]": "no"}},
        {"name": "a", "path": "/a", "options": {"comment": "a\n[x]"}},
        {"name": "a", "path": "/a", "options": {"comment": "a\\"}},
        {"name": "a", "path": "/a", "options": {"comment": ["a"]}},
        {"name": "a", "path": "/a", "options": {"directory": "/etc"}},
        {"name": "a", "path": "/a", "options": "browseable=yes nonsense"},
        {"name": "a", "path": "/a", "options": 3},
        {"name": "a", "path": "/a", "valid_users": ["a b"]},
    ],
)
def test_what_could_become_another_directive_is_refused(share: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(shares=[share])


def test_flaws() -> None:
    shares = [
        {"name": "a", "path": "/a", "valid_users": ["ann", "bob", "@all"]},
        {"name": "A", "path": "/b"},
    ]
    one = guest(1, "files")
    found = Samba().flaws(options(shares=shares, users=ANN), one, desired(one))
    assert [(flaw.message, flaw.at) for flaw in found] == [
        ("bob has no password over SMB", ("shares", 0, "valid_users", 1)),
        ("two shares are called A", ("shares", 1, "name")),
    ]


def test_accounts_are_read_from_pdbedit() -> None:
    listed = (
        "ann:1000:XXXX:a4f49c406510bdcab6824ee7c30fd852:[U          ]:LCT-6A000000:\n"
        "bob:1001:XXXX:A4F49C406510BDCAB6824EE7C30FD852:[DU         ]:LCT-6A000000:\n"
        "a line of something else\n"
    )
    digest = "A4F49C406510BDCAB6824EE7C30FD852"
    assert logins(listed) == {"ann": (digest, True), "bob": (digest, False)}


def test_the_host_gets_it_where_it_shares_something() -> None:
    samba = Wanted(
        user="files",
        users=(SambaUser("ann", Secret(name="ANN")),),
        shares=(
            SambaShare("media", "/tank/media", (("writable", "yes"),), ("ann",), "tank/media"),
            SambaShare("more", "/srv/more"),
        ),
        settings=(("log level", "1"),),
    )
    host = Host(setup=HostSetup(shares=Shares(samba=samba)))
    found = Samba().for_host(desired(host=host))
    assert found == options(
        user="files",
        users=ANN,
        shares=[
            {
                "name": "media",
                "path": "/tank/media",
                "options": {"writable": "yes"},
                "valid_users": ["ann"],
            },
            {"name": "more", "path": "/srv/more"},
        ],
        settings={"log level": "1"},
    )
    assert found is not None
    place = guest(1, "pve1", unprivileged=False)
    inputs = Samba().inputs(found, replace(place, kind="host"), desired(host=host))
    assert inputs == {"datasets": {"/tank/media": "tank/media"}}
    assert Samba().inputs(found, place, desired(host=host)) == {"datasets": {}}
    assert Samba().for_host(desired()) is None


def test_connections_are_only_cut_where_the_part_for_all_changed() -> None:
    assert "systemctl reload smbd" in accept("/etc/samba/smb.conf", restart=False)
    assert "systemctl restart smbd" in accept("/etc/samba/smb.conf", restart=True)


@pytest.mark.parametrize(
    ("settings", "written"),
    [
        ({}, False),
        ({"writable": "yes"}, True),
        ({"Write_Ok": "True"}, True),
        ({"read only": "no"}, True),
        ({"read only": "yes"}, False),
        ({"read only": "yes", "write list": "ann"}, True),
    ],
)
def test_whether_a_share_is_written(settings: dict[str, str], written: bool) -> None:
    assert is_written(settings) is written
