"""Names and certificates by the command line alone: from files to a request without a warning."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.stack import HYPERVISOR, Stack, write
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.long]

ASK = "curl -sS --max-time 10 https://hello.names.test/"


@pytest.fixture(scope="module")
def stack(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    corner = lab.Lab("s")
    folder = tmp_path_factory.mktemp("names") / "folder"
    tls = {"acme": {"from": "guest302"}}
    guests: dict[str, dict[str, Any]] = {
        "301": {"features": ["dnsmasq"], "dnsmasq": {"upstream": [f"{corner.subnet()}.1"]}},
        "302": {"features": ["acme_ca"]},
        "303": {
            "dependencies": ["302"],
            "features": ["nginx"],
            "nginx": {"sites": [{"name": "hello", "host": "hello.names.test"}], "tls": tls},
        },
        "304": {
            "dependencies": ["301", "302", "303"],
            "features": ["trusted_ca"],
            "trusted_ca": {"from": "guest302"},
            "checks": [{"command": {"command": ASK}}],
        },
    }
    made = write(
        folder, corner, {i: {"template": "debian-13-standard", **g} for i, g in guests.items()}
    )
    with made.edit() as words:
        words["lxc_configs"]["304"]["network_config"]["nameservers"] = f"{corner.subnet()}.10"
    with made.edit(HYPERVISOR) as words:
        words["domain_name"] = "names.test"
    (folder / "sites/hello").mkdir(parents=True)
    (folder / "sites/hello/index.html").write_text("<h1>by name</h1>\n")
    try:
        made.ok("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)


def test_a_request_by_name_without_a_warning(stack: Stack) -> None:
    assert stack.changes() == []
    assert "by name" in stack.inside("guest304", ASK)
    stack.ok("check")


def test_nothing_has_drifted(stack: Stack) -> None:
    stack.ok("drift", "--deep")


def test_one_more_name_reaches_all_whom_it_concerns(stack: Stack) -> None:
    """The DNS server, the authority and the proxy, in one plan, the authority before the proxy."""
    with stack.edit() as words:
        words["lxc_configs"]["303"]["nginx"]["sites"][0]["host"] = [
            "hello.names.test",
            "also.names.test",
        ]
    assert {change[0] for change in stack.changes()} == {"lxc/301", "lxc/302", "lxc/303"}
    stack.ok("apply", "--yes")
    assert stack.changes() == []
    also = ASK.replace("hello", "also")
    assert "by name" in stack.inside("guest304", also)
