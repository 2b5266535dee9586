"""Updates, microcode and governor: their texts, what is refused, and what the host asks for."""

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired

from phoenix_hypervisor.features.base_setup import BaseSetup
from phoenix_hypervisor.features.cpu_governor import CpuGovernor, CpuGovernorOptions, refuse, unit
from phoenix_hypervisor.features.microcode import Microcode, MicrocodeOptions, package_for
from phoenix_hypervisor.features.unattended_upgrades import (
    UnattendedUpgrades,
    UnattendedUpgradesOptions,
    text,
)
from phoenix_hypervisor.model.desired import Host, HostUser
from phoenix_hypervisor.model.errors import ConfigureFailed, Unsupported
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.system import System, Updates


def test_updates() -> None:
    plain = text(UnattendedUpgradesOptions())
    assert "label=Debian-Security" in plain
    assert "Proxmox" not in plain
    assert 'label=Debian"' not in plain
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in plain
    assert "Reboot-Time" not in plain
    full = text(
        UnattendedUpgradesOptions(
            also=("updates", "proxmox"), keep=("^proxmox-kernel", "zfs.*"), reboot_at="03:30"
        )
    )
    assert '  "origin=Proxmox";\n' in full
    assert '  "origin=Debian,codename=${distro_codename},label=Debian";\n' in full
    assert (
        "#clear Unattended-Upgrade::Package-Blacklist;\n"
        'Unattended-Upgrade::Package-Blacklist {\n  "^proxmox-kernel";\n  "zfs.*";\n};\n'
    ) in full
    assert 'Unattended-Upgrade::Automatic-Reboot-Time "03:30";' in full


@pytest.mark.parametrize(
    "words",
    [
        {"keep": ['a"; APT::Foo "b']},
        {"keep": ["a b"]},
        {"reboot_at": "24:00"},
        {"reboot_at": "now"},
        {"also": ["all"]},
    ],
)
def test_what_updates_refuse(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UnattendedUpgradesOptions.model_validate(words)


@pytest.mark.parametrize("virtual", ["", "none"])
def test_microcode_fits_the_cpu(virtual: str) -> None:
    assert package_for("GenuineIntel", virtual) == "intel-microcode"
    assert package_for("AuthenticAMD", virtual) == "amd64-microcode"


@pytest.mark.parametrize(
    ("vendor", "virtual", "told"),
    [
        ("GenuineIntel", "lxc", "this is one of lxc"),
        ("AuthenticAMD", "kvm", "this is one of kvm"),
        ("", "none", "CPU of this kind"),
        ("HygonGenuine", "none", "CPU of HygonGenuine"),
    ],
)
def test_where_there_is_no_microcode(vendor: str, virtual: str, told: str) -> None:
    with pytest.raises(Unsupported, match=told):
        package_for(vendor, virtual)


def test_a_governor_that_is_not_there_is_refused_with_those_that_are() -> None:
    refuse("powersave", "performance powersave\nperformance powersave\n")
    with pytest.raises(ConfigureFailed, match="no governor 'turbo'") as refused:
        refuse("turbo", "performance powersave\n")
    assert refused.value.hint == "there are performance, powersave"
    with pytest.raises(ConfigureFailed, match="no governor to choose"):
        refuse("powersave", "")


def test_the_governors_unit() -> None:
    assert "do echo powersave > " in unit("powersave")
    with pytest.raises(ValidationError):
        CpuGovernorOptions(governor="a; reboot")


def test_the_host_gets_what_its_files_ask_for() -> None:
    nothing = desired()
    features = (UnattendedUpgrades(), Microcode(), CpuGovernor(), BaseSetup())
    assert [feature.for_host(nothing) for feature in features] == [None] * 4
    system = System(
        updates=Updates(("proxmox",), ("zfs.*",), "03:30"), microcode=True, governor="powersave"
    )
    all_of_it = desired(host=Host(setup=HostSetup(system=system)))
    assert UnattendedUpgrades().for_host(all_of_it) == UnattendedUpgradesOptions(
        also=("proxmox",), keep=("zfs.*",), reboot_at="03:30"
    )
    assert Microcode().for_host(all_of_it) == MicrocodeOptions()
    assert CpuGovernor().for_host(all_of_it) == CpuGovernorOptions(governor="powersave")


@pytest.mark.parametrize("host", [Host(timezone="Europe/Vienna"), Host(users=(HostUser("ann"),))])
def test_the_hosts_base_is_its_time_and_its_people(host: Host) -> None:
    found = BaseSetup().for_host(desired(host=host))
    assert found is not None
    assert found.hypervisor_users
    assert not found.security_updates
