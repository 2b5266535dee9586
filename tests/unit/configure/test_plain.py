"""Options and inputs as JSON, and the secrets in them."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import Field

from phoenix_hypervisor.configure.job import Failed
from phoenix_hypervisor.configure.plain import plain, secrets_in
from phoenix_hypervisor.model.errors import ConfigureFailed, PlanStale, TimedOut
from phoenix_hypervisor.model.feature import FeatureOptions
from phoenix_hypervisor.model.secret import Secret


class Colour(Enum):
    RED = "red"


class Inner(FeatureOptions):
    password: Secret = Field(Secret(name="INNER"))


class Options(FeatureOptions):
    plain_text: str = "x"
    inner: Inner = Inner()
    many: tuple[Secret, ...] = ()
    colour: Colour = Colour.RED
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any


def test_all_kinds_of_values() -> None:
    value = Options(many=(Secret(literal="l"),), tags=frozenset({"b", "a", "c"}))
    assert plain(value, lambda secret: secret.name or "literal") == {
        "plain_text": "x",
        "inner": {"password": "INNER"},
        "many": ["literal"],
        "colour": "red",
        "tags": ["a", "b", "c"],
    }
    pair = Pair({1: None, "k": [True, 1.5]}, (Path("/a"), ip_address("10.0.0.1")))
    assert plain(pair, repr) == {"left": {"1": None, "k": [True, 1.5]}, "right": ["/a", "10.0.0.1"]}


def test_secrets_are_found_wherever_they_are() -> None:
    found = secrets_in(Options(many=(Secret(literal="l"),)), {"deep": [Pair(Secret(name="P"), 1)]})
    assert found == {Secret(name="INNER"), Secret(literal="l"), Secret(name="P")}


def test_errors_cross_to_the_runner() -> None:
    error = Failed.of(TimedOut("late", hint="h", detail="d")).error()
    assert (type(error), error.message, error.hint, error.detail) == (TimedOut, "late", "h", "d")
    other = Failed.of(PlanStale("stale", ["a"])).error()
    assert (type(other), other.message, other.detail) == (ConfigureFailed, "stale", "")
