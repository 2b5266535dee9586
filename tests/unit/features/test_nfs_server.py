"""NFS exports: their text, what is refused, and what the host's words become."""

from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features.nfs_server import NfsServer, NfsServerOptions, text
from phoenix_hypervisor.model.desired import Host
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.shares import NfsExport, Shares


def options(*exports: dict[str, Any]) -> NfsServerOptions:
    return NfsServerOptions.model_validate({"exports": exports})


def test_the_file() -> None:
    found = text(
        options(
            {
                "path": "/srv/vm data",
                "clients": ["10.0.0.7/24", "10.0.0.8", "fd00::/64", "*.lan", "@trusted"],
                "options": ["rw", "no_subtree_check", "anonuid=1000", "fsid=0", "sec=krb5p:sys"],
            },
            {"path": "/srv/open", "clients": ["*"]},
        )
    )
    told = "(rw,no_subtree_check,anonuid=1000,fsid=0,sec=krb5p:sys)"
    assert found.splitlines()[1:] == [
        f'"/srv/vm data" 10.0.0.0/24{told} 10.0.0.8{told} fd00::/64{told} *.lan{told}'
        f" @trusted{told}",
        "/srv/open *",
    ]


@pytest.mark.parametrize(
    "words",
    [
        {"path": "srv", "clients": ["*"]},
        {"path": "/srv/..", "clients": ["*"]},
        {"path": '/srv/"a', "clients": ["*"]},
        {"path": "/srv/a\n/etc *(rw)", "clients": ["*"]},
        {"path": "/srv", "clients": []},
        {"path": "/srv", "clients": ["10.0.0.0/33"]},
        {"path": "/srv", "clients": ["10.0.0.256"]},
        {"path": "/srv", "clients": ["a(rw)"]},
        {"path": "/srv", "clients": ["a b"]},
        {"path": "/srv", "clients": ["*"], "options": ["rw,sync"]},
        {"path": "/srv", "clients": ["*"], "options": ["anonuid=me"]},
        {"path": "/srv", "clients": ["*"], "options": ["rw) *(rw"]},
    ],
)
def test_what_exports_can_not_hold_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(words)


def test_an_option_that_is_almost_right_is_guessed() -> None:
    with pytest.raises(ValidationError, match="did you mean `no_root_squash`"):
        options({"path": "/srv", "clients": ["*"], "options": ["no_rootsquash"]})


def test_an_unprivileged_container_can_not_have_it() -> None:
    one, found = guest(1, "files"), options({"path": "/srv", "clients": ["*"]})
    [flaw] = NfsServer().flaws(found, one, desired(one))
    assert "unprivileged container" in flaw.message
    other = guest(2, "files", unprivileged=False)
    assert not NfsServer().flaws(found, other, desired(other))


def test_the_host_exports_what_has_clients() -> None:
    exports = (NfsExport("/srv/a", ("10.0.0.0/24",), ("rw",)), NfsExport("/srv/b", ()))
    host = Host(setup=HostSetup(shares=Shares(exports=exports)))
    found = NfsServer().for_host(desired(host=host))
    assert found == options({"path": "/srv/a", "clients": ["10.0.0.0/24"], "options": ["rw"]})
    alone = Host(setup=HostSetup(shares=Shares(exports=exports[1:])))
    assert NfsServer().for_host(desired(host=alone)) is None
