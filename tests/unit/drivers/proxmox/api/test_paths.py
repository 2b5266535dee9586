"""Paths and parameters as Proxmox VE's server takes them apart."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.drivers.proxmox.api.paths import Each, encoded, node_of, path


def test_path_quotes_each_part() -> None:
    assert path("nodes", "pve1", "lxc", 101, "config") == "/nodes/pve1/lxc/101/config"
    assert path("storage", "a/b;c") == "/storage/a%2Fb%3Bc"


@pytest.mark.parametrize(
    ("where", "node"),
    [
        ("/nodes/pve1/lxc/101/config", "pve1"),
        ("/nodes/pve1", "pve1"),
        ("/nodes", ""),
        ("/cluster/resources", ""),
        ("/version", ""),
    ],
)
def test_node_of_a_path(where: str, node: str) -> None:
    assert node_of(where) == node


def test_values() -> None:
    params = {"full": True, "start": False, "pool": None, "cpulimit": 1.5, "vms": [101, 102]}
    assert encoded(params) == "full=1&start=0&cpulimit=1.5&vms=101%2C102"


def test_each_is_a_parameter_of_its_own() -> None:
    assert encoded({"command": Each(("sh", "-c", "a b"))}) == "command=sh&command=-c&command=a%20b"


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1)))
def test_any_text_arrives_as_it_is(params: dict[str, str]) -> None:
    text = encoded(params)
    # The server takes `;` for `&`, and `+` for a space.
    assert ";" not in text
    assert "+" not in text
    assert dict(parse_qsl(text, keep_blank_values=True)) == params
