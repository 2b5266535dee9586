"""What a guest's checks learn when its folder is opened."""

from typing import Any

import pytest
from tests.unit.plan.worlds import desired, guest

from phoenix_hypervisor.app import opening
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.verify.checks import available


@pytest.mark.parametrize(
    ("words", "slo", "objective"),
    [
        ({}, Slo(latency_p95_ms=300.0), 300.0),
        ({"total_p95_ms": 900}, Slo(latency_p95_ms=300.0), 900.0),
        ({}, Slo(availability=99.0), 2000.0),
        ({}, None, 2000.0),
    ],
)
def test_a_check_takes_the_guests_promise_where_it_says_none(
    words: dict[str, Any], slo: Slo | None, objective: float
) -> None:
    kinds = available()
    checks = (kinds["llm"].model_validate(words), kinds["tcp"].model_validate({"port": 80}))
    wanted = desired(guest(101, features=(), checks=checks, slo=slo))
    [found] = opening._with_feature_checks(wanted).guests.values()
    assert found.checks[0].model_dump()["total_p95_ms"] == objective
    assert found.checks[1] == checks[1]
