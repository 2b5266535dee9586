"""The quick question for users answers what pyinfra's own answers, on this very machine."""

import subprocess
from typing import Any

import pytest
from pyinfra.facts.server import Users

from phoenix_hypervisor.configure import quick_facts


def users(command: str) -> dict[str, Any]:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    fact: Any = Users()
    found: dict[str, Any] = fact.process(done.stdout.splitlines())
    for user in found.values():
        user["groups"].sort()
        del user["lastlog"], user["login_time"]  # not asked for
    return found


@pytest.fixture
def slow() -> str:
    return str(quick_facts._SLOW(Users()))


def test_both_answer_the_same(slow: str) -> None:
    quick = users(quick_facts._command(Users()))
    assert quick == users(slow)
    assert quick["root"]["home"] == "/root"


def test_without_awk_the_own_question_is_asked(slow: str) -> None:
    hidden = 'command() { [ "$2" != awk ]; }\nawk() { exit 9; }\n'
    assert users(hidden + quick_facts._command(Users())) == users(slow)


def test_it_is_in_its_place() -> None:
    quick_facts.install()
    quick_facts.install()
    fact: Any = Users()
    assert fact.command().count("FILENAME") == 2
