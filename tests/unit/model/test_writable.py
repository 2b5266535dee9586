"""Texts from elsewhere can be written: into a file, a pipe, a terminal."""

import pytest

from phoenix_hypervisor.model.check import Outcome
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.model.writable import writable


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("503: /café 🐦", "503: /café 🐦"),
        ("503: /caf\udce9", "503: /caf?"),
        ("\ud800\udfff", "??"),
        ("", ""),
    ],
)
def test_lone_surrogates_go(text: str, made: str) -> None:
    assert writable(text) == made
    assert Outcome(False, text).message == made
    assert Happening(0.0, "down", "", text).text == made
