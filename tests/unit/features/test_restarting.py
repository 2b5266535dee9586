"""Services begin again by themselves: soon, then with growing pauses, and for ever."""

import configparser

import pytest

from phoenix_hypervisor.features._restarting import drop_in


def words(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


@pytest.mark.parametrize("when", ["always", "on-failure"])
def test_the_drop_in_never_gives_up(when: str) -> None:
    found = words(drop_in(when))  # type: ignore[arg-type]
    assert found["Unit"]["StartLimitIntervalSec"] == "0"
    assert found["Service"]["Restart"] == when
    assert found["Service"]["RestartSec"] == "200ms"
    assert int(found["Service"]["RestartSteps"]) > 1
    assert found["Service"]["RestartMaxDelaySec"] == "30s"
