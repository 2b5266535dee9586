import pytest
from tests.unit.verify.places import check, once


@pytest.mark.parametrize(
    "words",
    [
        {"command": "true"},
        {"command": "echo ' two words '", "expect": "two words"},
        {"command": "printf 'a\\nb\\n'", "contains": "b"},
        {"command": "exit 4", "status": 4},
        {"command": "cd /\npwd", "expect": "/"},
    ],
)
async def test_as_expected(words: dict[str, object]) -> None:
    outcome = await once(check("command", **words))
    assert outcome.ok, outcome.message
    assert outcome.latency_ms is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"command": "echo fine; echo broken >&2; exit 3"},
            "expected exit status 0, got 3: broken",
        ),
        ({"command": "exit 3"}, "expected exit status 0, got 3"),
        ({"command": "echo a; echo b", "expect": "b"}, "expected the output 'b', got 'a'"),
        ({"command": "echo a", "contains": "b"}, "expected 'b' in the output, got 'a'"),
        ({"command": "sleep 5", "timeout_s": 0.3}, "no answer within 0.3 s"),
    ],
)
async def test_not_as_expected(words: dict[str, object], message: str) -> None:
    outcome = await once(check("command", **words))
    assert (outcome.ok, outcome.message) == (False, message)


def test_titles() -> None:
    assert check("command", command="\n systemctl is-active nginx\n").title == (
        "command systemctl is-active nginx"
    )
    assert len(check("command", command="x" * 500).title) < 70
