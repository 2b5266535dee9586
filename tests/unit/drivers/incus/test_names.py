import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.model.address import Address, bridge, lxc, storage, vm


@given(st.sampled_from([lxc, vm]).flatmap(lambda kind: st.integers(100, 999_999_999).map(kind)))
def test_there_and_back(address: Address) -> None:
    name = names.instance(address)
    assert names.address(name) == address
    assert name.replace("-", "").isalnum()


@pytest.mark.parametrize(
    "name", ["web", "lxc", "lxc-", "lxc-web", "ct-101", "lxc-101-old", "-101", "", "lxc/101"]
)
def test_names_of_others(name: str) -> None:
    assert names.address(name) is None


def test_a_volume_is_named_for_its_guest() -> None:
    assert names.volume(lxc(101), "data") == "lxc-101-data"
    # What Incus could not take is hashed, and is never what another name is as it stands.
    assert names.volume(lxc(101), "data/deep") == "lxc-101-87dac9cb.x"
    assert names.volume(lxc(101), "87dac9cb.x") != "lxc-101-87dac9cb.x"
    # The number ends at its dash: no volume of one guest is named like one of another.
    assert names.volume(lxc(1), "01-data") != names.volume(lxc(101), "data")


@pytest.mark.parametrize("name", ["lxc-9900", "lxc-9900-data", "phoenix-spare-web", "copy-of-it"])
def test_what_is_no_import_of_phoenix_s(name: str) -> None:
    assert names.restored_for(name) is None


def test_an_import_is_known_by_its_name() -> None:
    assert names.restored_for(names.restored(names.instance(lxc(9900)))) == lxc(9900)
    assert names.restored_for(names.restored(names.volume(vm(9900), "data"))) == vm(9900)
    # It is no guest yet.
    assert names.address(names.restored("lxc-9900")) is None


def test_resources_have_plain_names() -> None:
    assert names.host_of(storage("local-zfs")) == "local-zfs"
    assert names.host_of(bridge("vmbr0")) == "vmbr0"


def test_all_marks_are_keys_that_incus_leaves_alone() -> None:
    words = {value for key, value in vars(names).items() if key.isupper() and key[0] != "_"}
    marks = [word for word in words if "." in word]
    assert len(marks) > 8
    assert all(mark.startswith("user.phoenix.") for mark in marks)
