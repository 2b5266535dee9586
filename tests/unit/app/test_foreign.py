"""Files that others wrote are told before they are replaced, and kept beside."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.host.rooted_node import RootedNode

from phoenix_hypervisor.app.host import foreign
from phoenix_hypervisor.model.errors import ConfigureFailed

CONF = "/etc/samba/smb.conf"
PATHS = [CONF, "/etc/exports.d/phoenix.exports", "/etc/none"]
COPY = f"{CONF.lstrip('/')}{foreign.COPY}"


@pytest.fixture
def node(tmp_path: Path) -> RootedNode:
    made = RootedNode(tmp_path)
    made.put(CONF.lstrip("/"), "[media]\n# Made by Phoenix\n")  # not its first line
    made.put("etc/exports.d/phoenix.exports", "# Made by Phoenix\n/srv *(ro)\n")
    return made


def keep(node: RootedNode) -> list[str]:
    told: list[str] = []
    asyncio.run(foreign.keep(node, PATHS, told.append))
    return told


def test_only_what_others_wrote_is_found(node: RootedNode) -> None:
    assert asyncio.run(foreign.look(node, PATHS)) == (CONF,)
    assert asyncio.run(foreign.look(node, [])) == ()
    assert f"{CONF} was not written by Phoenix" in foreign.note(CONF)


def test_it_is_kept_beside_itself_and_an_older_copy_stays(node: RootedNode) -> None:
    before = node.get_text(CONF.lstrip("/"))
    assert keep(node) == [f"{CONF} is kept as {CONF}{foreign.COPY}"]
    assert node.get_text(COPY) == before
    assert keep(node) == []  # the copy is there
    node.put(CONF.lstrip("/"), "[other]\n")
    assert keep(node) != []
    assert (node.get_text(COPY), node.get_text(f"{COPY}.~1~")) == ("[other]\n", before)
    assert node.get_text(f"etc/exports.d/phoenix.exports{foreign.COPY}") == ""


def test_what_can_not_be_kept_is_not_replaced(node: RootedNode) -> None:
    node.program("cp", "echo no space >&2; exit 1")
    with pytest.raises(ConfigureFailed) as caught:
        keep(node)
    assert "no space" in caught.value.detail
