"""NFS exports: their text, what is refused, and what the host's words become."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest
from tests.unit.host.rooted_node import RootedNode

from phoenix_hypervisor.app.host import ended
from phoenix_hypervisor.features.nfs_server import EXPORTS, NfsServer, NfsServerOptions, text
from phoenix_hypervisor.model.desired import Host
from phoenix_hypervisor.model.errors import ConfigureFailed
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


OWN = EXPORTS.lstrip("/")
SYSTEMCTL = """
case "$1" in
    list-unit-files) echo nfs-server.service enabled ;;
    disable) [ ! -e "$S/stuck" ] && touch "$S/ended" ;;
esac
"""
EXPORTFS = """
[ ! -e "$S/refuses" ] || { echo "mine.exports:1: unknown keyword" >&2; exit 1; }
[ "$1" != -s ] || cat "$R"/etc/exports.d/*.exports 2>/dev/null | grep -v '^#'
true
"""


@pytest.fixture
def host(tmp_path: Path) -> RootedNode:
    """A host that exports what files asked for that no longer do."""
    node = RootedNode(tmp_path)
    node.program("systemctl", SYSTEMCTL)
    node.program("exportfs", EXPORTFS)
    node.put(OWN, text(options({"path": "/srv", "clients": ["*"]})))
    return node


def _is_due(node: RootedNode) -> bool:
    return bool(asyncio.run(ended.look(node, desired())))


def _end(node: RootedNode) -> None:
    asyncio.run(ended.end(node, "nfs_server", lambda _: None))


@pytest.mark.parametrize("fault", ["refuses", "stuck"])
def test_an_end_that_fails_is_not_forgotten(host: RootedNode, fault: str) -> None:
    host.put(f"state/{fault}", "")
    for _ in range(2):
        with pytest.raises(ConfigureFailed):
            _end(host)
        assert _is_due(host)
        assert not list((host.root / "etc/exports.d").glob("*.exports"))  # it shares nothing
    (host.root / "state" / fault).unlink()
    _end(host)
    assert (host.root / "state/ended").exists()
    assert not _is_due(host)
    assert list((host.root / "etc/exports.d").iterdir()) == []


def test_exports_that_are_another_s_by_now_stay(host: RootedNode) -> None:
    host.put(OWN, "/srv/mine *\n")
    assert not _is_due(host)
    _end(host)
    assert host.get_text(OWN) == "/srv/mine *\n"
    assert not (host.root / "state/ended").exists()
