import pytest
from tests.unit.verify.places import check, once, place

from phoenix_hypervisor.model.check import OUTPUT_LIMIT


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


async def test_a_command_that_talks_and_talks_does_not_fill_the_memory() -> None:
    talk = "echo first; yes | head -c 9000000; echo last"
    for word in ("first", "last"):
        assert (await once(check("command", command=talk, contains=word))).ok
    async with place() as here:
        said = await here.inside(f"{talk}; {{ {talk}; }} >&2", 20.0)
    assert max(len(said.out), len(said.err)) < OUTPUT_LIMIT + 100


def test_titles() -> None:
    assert check("command", command="\n systemctl is-active nginx\n").title == (
        "command systemctl is-active nginx"
    )
    assert len(check("command", command="x" * 500).title) < 70
