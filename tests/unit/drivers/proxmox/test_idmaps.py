"""Ids that pass unchanged between the host and an unprivileged container."""

import subprocess
from pathlib import Path

from phoenix_hypervisor.drivers.proxmox.idmaps import delegate, lines
from phoenix_hypervisor.model.desired import IdMap


def test_all_ids_are_mapped_once_and_in_order() -> None:
    found = lines([IdMap("both", 1000, 1000), IdMap("gid", 44, 44, 2)])
    assert [value for key, value in found if value.startswith("u")] == [
        "u 0 100000 1000",
        "u 1000 1000 1",
        "u 1001 101001 64535",
    ]
    assert [value for key, value in found if value.startswith("g")] == [
        "g 0 100000 44",
        "g 44 44 2",
        "g 46 100046 954",
        "g 1000 1000 1",
        "g 1001 101001 64535",
    ]
    assert {key for key, _ in found} == {"lxc.idmap"}


def test_no_map_is_no_line() -> None:
    assert lines([]) == ()


def test_what_the_node_lacks_is_added_once(tmp_path: Path) -> None:
    for kind in ("uid", "gid"):
        (tmp_path / f"sub{kind}").write_text("root:100000:65536\n")
    script = delegate([IdMap("both", 1000, 1000), IdMap("gid", 44, 44)])
    script = script.replace("/etc/", f"{tmp_path}/")
    for _ in range(2):
        subprocess.run(["sh", "-c", script], check=True)
    assert (tmp_path / "subuid").read_text() == "root:100000:65536\nroot:1000:1\n"
    assert (tmp_path / "subgid").read_text() == "root:100000:65536\nroot:1000:1\nroot:44:1\n"
