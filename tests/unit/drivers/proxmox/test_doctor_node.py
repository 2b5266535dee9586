"""What root sees on a node, as findings: IOMMU and NVIDIA's driver."""

import subprocess

import pytest

from phoenix_hypervisor.drivers.proxmox import doctor_node

INTEL = {"groups": "0", "maker": "GenuineIntel"}
CARD = {"card.0000:01:00.0": "nvidia"}


def told(facts: dict[str, str], *, gives: bool = False) -> list[tuple[str, str, str]]:
    found = doctor_node.findings("pve1", facts, gives_cards=gives)
    return [(one.severity, one.said, one.mend) for one in found]


def test_a_node_without_cards_needs_no_iommu() -> None:
    (iommu, nvidia) = told(INTEL)
    assert (iommu[0], nvidia[0]) == ("ok", "ok")
    assert iommu[1].startswith("off")


@pytest.mark.parametrize(
    ("facts", "gives", "severity", "words"),
    [
        (INTEL, True, "error", ("intel_iommu=on iommu=pt", "/etc/default/grub", "update-grub")),
        (INTEL | CARD, False, "warning", ("intel_iommu=on",)),
        ({"groups": "0", "maker": "AuthenticAMD"}, True, "error", ("iommu=pt",)),
        (INTEL | {"boot": "tool"}, True, "error", ("/etc/kernel/cmdline", "proxmox-boot-tool")),
        ({"groups": "14"}, True, "ok", ()),
    ],
)
def test_iommu(facts: dict[str, str], gives: bool, severity: str, words: tuple[str, ...]) -> None:
    found, _, mend = told(facts, gives=gives)[0]
    assert found == severity
    assert all(word in mend for word in words)
    assert "intel" in mend or facts.get("maker") != "GenuineIntel"


def test_the_command_for_grub_adds_the_words() -> None:
    mend = told(INTEL, gives=True)[0][2]
    command = mend.partition(" /etc/default")[0]
    before = 'GRUB_CMDLINE_LINUX="quiet"\n'
    done = subprocess.run(["sh", "-c", command.replace(" -i", "")], input=before, text=True,
                          capture_output=True, check=True)  # fmt: skip
    assert done.stdout == 'GRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt quiet"\n'


@pytest.mark.parametrize(
    ("facts", "severity", "words"),
    [
        ({"kvm": "1"}, "ok", ""),
        ({"maker": "GenuineIntel"}, "error", "modprobe kvm_intel"),
        ({"maker": "AuthenticAMD"}, "error", "modprobe kvm_amd"),
    ],
)
def test_kvm_is_asked_for_only_where_there_are_machines(
    facts: dict[str, str], severity: str, words: str
) -> None:
    kvm = next(iter(doctor_node.findings("pve1", facts, gives_cards=False, has_machines=True)))
    assert (kvm.what, kvm.severity) == ("KVM of pve1", severity)
    assert words in kvm.mend
    without = doctor_node.findings("pve1", facts, gives_cards=False)
    assert not any(one.what.startswith("KVM") for one in without)


def test_nvidia() -> None:
    assert told(INTEL | CARD)[1][0] == "warning"
    driver = INTEL | CARD | {"driver": "570.86.15"}
    assert [one[0] for one in told(driver)[1:]] == ["ok", "warning"]
    assert told(driver)[2][2] == "nvidia-modprobe -u -c=0"
    assert [one[0] for one in told(driver | {"uvm": "1"})[1:]] == ["ok"]
    (given,) = told({"groups": "3", "card.0000:01:00.0": "vfio-pci"})[1:]
    assert "bound to vfio-pci" in given[1]


def test_the_script_runs_anywhere_and_reads_only() -> None:
    done = subprocess.run(
        ["sh", "-c", doctor_node.SCRIPT], capture_output=True, text=True, check=True
    )
    facts = doctor_node.read(done.stdout)
    assert facts["groups"].isdigit()
    assert done.stderr == ""


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (dvs)",
    ],
)
def test_the_drivers_version_is_read_from_both_of_its_spellings(line: str) -> None:
    sed = doctor_node.SCRIPT.split("$(sed -n '")[1].split("'")[0]
    done = subprocess.run(
        ["sed", "-n", sed], input=line, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "550.54.14"
