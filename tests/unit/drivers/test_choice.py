"""Drivers are chosen by name."""

from pathlib import Path

import pytest

from phoenix_hypervisor import drivers
from phoenix_hypervisor.model.desired import Target
from phoenix_hypervisor.model.errors import UsageError


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("mars", "there is no driver `mars`", "incus, proxmox, sim"),
        ("fields", "there is no driver `fields`", "incus, proxmox, sim"),
    ],
)
def test_a_driver_that_is_not_there(name: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        drivers.open_driver(name, Target(), "shop", environ={}, folder=Path())
    assert caught.value.message == said
    assert hint in caught.value.hint
