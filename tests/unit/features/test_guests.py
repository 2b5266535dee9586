"""Guests that options name."""

import pytest
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features._guests import find
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.errors import ConfigError

FOLDER = desired(
    guest(3, "door"),
    *(guest(50 + n, f"web-{n}", replica=Replica(lxc(51), "web", n)) for n in (1, 2)),
)


def test_one_replica_is_named() -> None:
    assert find("web-2", FOLDER).address == lxc(52)
    with pytest.raises(ConfigError, match=r"^'web' has replicas: name one of web-1, web-2$"):
        find("web", FOLDER)
    with pytest.raises(ConfigError, match=r"^there is no guest 'wob'"):
        find("wob", FOLDER)
