"""What the files say of cards, driver and AppArmor becomes what `phoenix host` looks after."""

import json
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.config.load import Vocabulary, load
from phoenix_hypervisor.model.address import lxc, vm
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.cards import HostDriver, KeptCard, PassedCard

GPUS = [
    {"index": 0, "name": "RTX 5060 Ti", "pci": "0000:01:00.0"},
    {"index": 1, "name": "RTX 4090", "pci": "0000:02:00.0", "mapping": "big"},
    {"index": 2, "name": "A2", "pci": "0000:03:00.0"},
]


@pytest.fixture
def setup(tmp_path: Path, vocabulary: Vocabulary) -> HostSetup:
    def write(name: str, value: Any) -> None:
        (tmp_path / name).write_text(json.dumps(value))

    image = {"template_image": "debian-13-generic-amd64.qcow2", "memory_mb": 1024, "cores": 1}
    write(
        "phoenix_hypervisor_config.json",
        {
            "hypervisor": {"node": "pve1"},
            "gpus": GPUS,
            "nvidia_driver": {
                "install": True,
                "version": "580.76.05",
                "runfile_url": "https://mirror.example.com/NVIDIA-{version}.run",
                "checksum": f"sha256:{'a' * 64}",
                "kernel_modules": "Open",
            },
        },
    )
    write(
        "phoenix_vm_configs.json",
        {
            "vms": [
                {"vmid": 201, "name": "one", "gpu_assignment": "1", **image},
                {"vmid": 202, "name": "two", "pci": ["0000:09:00.0"], **image},
                {"vmid": 203, "name": "far", "pci": ["0000:0a:00"], "node": "pve2", **image},
                {"vmid": 204, "name": "base", "pci": ["gpu9"], "is_template": True, **image},
            ]
        },
    )
    profiles = {101: "lxc-gpu", 102: "lxc-gpu", 103: "unconfined", 104: "lxc-none"}
    write(
        "phoenix_lxc_configs.json",
        {
            "lxc_configs": {
                str(number): {"name": f"g{number}", "template": "debian-13-standard"}
                | {"apparmor_profile": name}
                for number, name in profiles.items()
            }
        },
    )
    (tmp_path / "apparmor").mkdir()
    (tmp_path / "apparmor/lxc-gpu").write_text("profile lxc-gpu {\n}\n")
    loaded = load(tmp_path, vocabulary)
    assert loaded.desired is not None, loaded.problems
    return loaded.desired.host.setup


def test_cards_of_machines_and_of_the_host(setup: HostSetup) -> None:
    assert setup.cards.passed == (
        PassedCard(vm(201), mapping="big"),
        PassedCard(vm(202), address="0000:09:00.0"),
    )
    assert setup.cards.kept == (KeptCard(0, "RTX 5060 Ti"), KeptCard(2, "A2"))


def test_the_driver(setup: HostSetup) -> None:
    assert setup.cards.driver == HostDriver(
        "580.76.05",
        "https://mirror.example.com/NVIDIA-{version}.run",
        f"sha256:{'a' * 64}",
        "open",
    )


def test_profiles_that_lie_in_the_folder(setup: HostSetup) -> None:
    (profile,) = setup.profiles.profiles
    assert (profile.name, profile.address) == ("lxc-gpu", "apparmor/lxc-gpu")
    assert profile.guests == (lxc(101), lxc(102))
    assert profile.text == "profile lxc-gpu {\n}\n"


def test_without_words_there_is_nothing_to_do(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "phoenix_hypervisor_config.json").write_text(
        '{"nvidia_driver": {"version": "580.1"}}'
    )
    loaded = load(tmp_path, vocabulary)
    assert loaded.desired is not None
    setup = loaded.desired.host.setup
    assert (setup.cards.driver, setup.cards.passed, setup.profiles.profiles) == (None, (), ())
