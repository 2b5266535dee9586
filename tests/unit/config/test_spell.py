"""Guests written in the words of the files are read as the same guests."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from phoenix_hypervisor.config import spell
from phoenix_hypervisor.config.load import Vocabulary, load
from phoenix_hypervisor.model.address import lxc, vm
from phoenix_hypervisor.model.desired import (
    Boot,
    CloneOf,
    Firewall,
    FirewallRule,
    Gpu,
    Guest,
    IdMap,
    Image,
    Mount,
    Nic,
    PciDevice,
    Target,
    Volume,
)
from phoenix_hypervisor.model.secret import Secret

TARGET = Target(
    driver="proxmox",
    endpoint="https://pve1:8006",
    token_id="phoenix@pve!phoenix",
    token_secret=Secret(name="PHOENIX_PVE_TOKEN"),
    ca_file="/etc/ca.pem",
)
NIC = Nic("eth0", "vmbr1", "10.0.0.5/24", "10.0.0.1", ("9.9.9.9",), "52:54:00:00:00:01".upper())
SMALL = Guest(lxc(101), "lxc", 101, "web", Image("debian-13-standard"), 512, 1, disk_gb=8)
FULL = replace(
    SMALL,
    swap_mb=0,
    pool="tank",
    nics=(NIC,),
    mounts=(Mount("/srv/a", "/a", True), Mount("/srv/b", "/b", False, 0, 33)),
    volumes=(Volume("data", "tank", 4, "/srv/data"), Volume("old", "dir", None, "/old")),
    firewall=Firewall(
        True,
        (
            FirewallRule("in", "ACCEPT", "10.0.0.0/8", None, "tcp", ("80", "8000-8100"), "web"),
            FirewallRule("out", "REJECT", dest="10.9.9.9"),
        ),
        "REJECT",
        "DROP",
    ),
    boot=Boot(True, 3, 5),
    unprivileged=False,
    nesting=True,
    apparmor_profile="unconfined",
    raw=(("lxc.mount.entry", "/x y none bind"), ("lxc.b", "1"), ("lxc.mount.entry", "/z z none")),
    gpus=(0,),
    protected=True,
    options=(
        ("cpulimit", "1.5"),
        ("net1", "name=eth1,bridge=vmbr0,type=veth"),
        ("features", "fuse=1,keyctl=1"),
    ),
    id_maps=(IdMap("both", 1000, 1000, 2),),
    description="two\nlines",
)
CLONE = replace(SMALL, address=lxc(102), id=102, name="copy", source=CloneOf(lxc(101), None))
MACHINE = Guest(
    vm(201), "vm", 201, "mach", Image("debian.qcow2"), 2048, 2, disk_gb=10, nics=(NIC,),
    pci=(PciDevice(mapping="gpu0"), PciDevice(address="0000:01:00")), agent=False, cpu="host",
    machine="q35", bios="ovmf", is_template=True, boot=Boot(at_boot=True),
)  # fmt: skip


def written(folder: Path, *guests: Guest, **told: object) -> dict[str, object]:
    given = {"gpus": (Gpu(0, "A40", 46068, "0000:01:00.0", "gpu0"),), **told}
    found = spell.files(spell.Told(TARGET, "here", guests, **given))  # type: ignore[arg-type]
    for name, words in found.items():
        (folder / name).write_text(json.dumps(words))
    return dict(found)


@pytest.mark.parametrize("guests", [(SMALL,), (FULL,), (SMALL, CLONE), (MACHINE,)],
                         ids=["small", "full", "a clone", "a machine"])  # fmt: skip
def test_guests_come_back(
    tmp_path: Path, guests: tuple[Guest, ...], vocabulary: Vocabulary
) -> None:
    written(tmp_path, *guests)
    loaded = load(tmp_path, vocabulary)
    assert [problem.message for problem in loaded.problems] == []
    assert loaded.desired is not None
    assert tuple(loaded.desired.guests.values()) == guests
    assert (loaded.desired.target, loaded.desired.stack) == (TARGET, "here")
    assert loaded.desired.host.gpus == (Gpu(0, "A40", 46068, "0000:01:00.0", "gpu0"),)


def test_comments_stand_beside_and_change_nothing(tmp_path: Path, vocabulary: Vocabulary) -> None:
    notes = {"_storages": {"tank": "zfspool"}}
    remarks = {"lxc/101": ["its notes stay"], "lxc/999": ["nobody"], "lxc/102": []}
    found = written(tmp_path, SMALL, CLONE, head="Hello.", notes=notes, remarks=remarks)
    host = json.loads((tmp_path / "phoenix_hypervisor_config.json").read_text())
    assert list(host)[:2] == ["$schema", "_"]
    assert (host["_"], host["_storages"]) == ("Hello.", {"tank": "zfspool"})
    words = json.loads((tmp_path / "phoenix_lxc_configs.json").read_text())["lxc_configs"]
    assert words["101"]["_not_said"] == ["its notes stay"]
    assert "_not_said" not in words["102"]
    assert load(tmp_path, vocabulary).problems == ()
    assert len(found) == 3


def test_a_secret_that_was_written_out_is_not_written_again() -> None:
    target = replace(TARGET, token_secret=Secret(literal="hidden"))
    assert "hidden" not in json.dumps(spell.files(spell.Told(target, "here")))
