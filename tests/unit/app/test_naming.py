"""What words for guests mean."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app.naming import meant
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.errors import UsageError


def test_a_name_of_replicas_means_all_of_them(tmp_path: Path) -> None:
    replicas = [
        replace(
            plain(100 + number), name=f"hello-{number}", replica=Replica(lxc(101), "hello", number)
        )
        for number in (1, 2)
    ]
    found = desired(*replicas, plain(103), folder=tmp_path)
    both = {lxc(101), lxc(102)}
    assert meant(found, ["hello"]) == both
    assert meant(found, ["hello-2", "lxc/101"]) == both
    assert meant(found, ["103", "hello"]) == both | {lxc(103)}
    assert meant(found, []) == frozenset()
    with pytest.raises(UsageError, match="no guest “nobody”"):
        meant(found, ["nobody"])
