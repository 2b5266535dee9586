"""The check `llm`, against a server in this process, from outside and from inside."""

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.support.llm_server import LlmServer, serving
from tests.unit.verify.places import check, once, only_with, place
from tests.unit.verify.test_http import tls

from phoenix_hypervisor.verify import wait

__all__ = ["tls"]  # a fixture
TOOLS = [tool for tool in ("python3", "bash") if shutil.which(tool)]
WAYS = ["outside", *TOOLS]


@pytest.fixture(params=WAYS)
def asked(request: pytest.FixtureRequest, tmp_path: Path):
    """Each way to ask: `asked(port=…)` gives the outcome."""

    async def ask(**words: object):
        if request.param == "outside":
            return await once(check("llm", **words))
        shell = only_with(tmp_path, request.param)
        return await once(check("llm", at="inside", **words), place(way_in=shell))

    return ask


async def test_a_good_answer(asked) -> None:
    server = LlmServer(api_key='Bearer a"b\\c')
    async with serving(server) as port:
        outcome = await asked(port=port, api_key={"secret": "TOKEN"}, contains="grüße 5")
    assert outcome.ok, outcome.message
    assert outcome.message.startswith("6 tokens in 0.")
    assert ", first after 0." in outcome.message
    assert outcome.message.endswith(", objective 2 s")
    warm_up, *counted = server.asked
    assert [warm_up["max_tokens"], *(one["max_tokens"] for one in counted)] == [8] + 10 * [64]
    assert "; p95 of 1 at once 0." in outcome.message
    assert {one["model"] for one in server.asked} == {"small"}


async def test_what_was_measured_is_told_also_where_it_is_too_slow(asked) -> None:
    async with serving(LlmServer(first_s=(0.005,))) as port:
        good = await asked(port=port, concurrency=[1], samples=1)
        slow = await asked(port=port, concurrency=[1], samples=1, total_p95_ms=1)
        vector = await asked(port=port, kind="embedding", model="e")
        wrong = await asked(port=port, contains="nowhere")
    for outcome in (good, slow):
        assert set(outcome.numbers) == {"first_token_ms", "total_ms", "tokens_per_s"}
        assert 0 < outcome.numbers["first_token_ms"] <= outcome.numbers["total_ms"]
        assert outcome.numbers["total_ms"] == outcome.latency_ms
    assert (good.ok, slow.ok) == (True, False)
    tokens = good.numbers["tokens_per_s"] * good.numbers["total_ms"] / 1000
    assert tokens == pytest.approx(6, rel=0.01)
    assert "first_token_ms" not in vector.numbers
    assert wrong.numbers == {}


async def test_an_embedding_and_a_ranking(asked) -> None:
    async with serving(LlmServer()) as port:
        good = await asked(port=port, kind="embedding", dimensions=4, model="e")
        other = await asked(port=port, kind="embedding", dimensions=3, model="e")
        zeros = await asked(port=port, kind="embedding", model="zeros")
        ranked = await asked(port=port, kind="rerank", model="r")
        forgot = await asked(port=port, kind="rerank", model="forgetful")
    assert good.message.startswith("4 dimensions in 0.")
    assert other.message == "expected 3 dimensions, got 4"
    assert "gave no embedding, but [0.0, 0.0, 0.0, 0.0]" in zeros.message
    assert ranked.message.startswith("2 documents ranked in 0.")
    assert forgot.message == f"127.0.0.1:{port} ranked 1 of 2 documents"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("unknown", "127.0.0.1:{port} answers 404: The model `unknown` does not exist"),
        ("failing", "127.0.0.1:{port} broke off with an error: out of memory"),
        ("gone", "the answer of 127.0.0.1:{port} broke off"),
        ("short", "the answer of 127.0.0.1:{port} broke off after 6 chunks"),
    ],
)
async def test_a_wrong_answer(asked, model: str, message: str) -> None:
    async with serving(LlmServer()) as port:
        outcome = await asked(port=port, model=model)
    assert (outcome.ok, outcome.message) == (False, message.format(port=port))


@pytest.mark.parametrize("model", ["strict", "whole", "uncounted", "endless"])
async def test_servers_that_do_it_otherwise(asked, model: str) -> None:
    async with serving(LlmServer()) as port:
        outcome = await asked(port=port, model=model)
    assert outcome.ok, outcome.message
    assert outcome.message.startswith("6 tokens in 0.")


async def test_a_wrong_key_and_a_closed_port(asked, unused_tcp_port: int) -> None:
    async with serving(LlmServer(api_key="right")) as port:
        outcome = await asked(port=port, api_key="wrong")
    assert outcome.message == f"127.0.0.1:{port} answers 401: Invalid API key"
    outcome = await asked(port=unused_tcp_port)
    assert not outcome.ok
    assert outcome.latency_ms is None


async def test_missed_objectives_name_measured_and_promised(asked) -> None:
    server = LlmServer([0.15], 0.01)
    async with serving(server) as port:
        total = await asked(port=port, total_p95_ms=200)
        first = await asked(port=port, first_token_ms=100)
        met = await asked(port=port, first_token_ms=1500)
    assert not total.ok
    assert total.message.startswith("p95 of a complete answer is 0.")
    assert "with 1 at once, the objective is at most 0.2 s (6 tokens in 0." in total.message
    assert first.message.startswith("p95 of the first token is 0.")
    assert "the objective is at most 0.1 s" in first.message
    assert met.ok, met.message
    assert (total.late, first.late, met.late) == (True, True, False)
    assert 190 < met.latency_ms < 1500


async def test_several_at_once(asked) -> None:
    server = LlmServer([0.4])
    async with serving(server) as port:
        outcome = await asked(port=port, concurrency=[1, 4], total_p95_ms=60_000, samples=1)
    assert outcome.ok, outcome.message
    # Inside each is a program that has to start: on a busy machine not all at the same time.
    assert 2 <= server.most_at_once <= 4
    assert len(server.asked) == 1 + 1 + 4
    assert "; p95 of 1 at once 0." in outcome.message


async def test_it_waits_while_the_server_loads() -> None:
    told: list[str] = []
    async with serving(LlmServer(loading=3)) as port, place() as here:
        one = check("llm", port=port, interval_s=0.05)
        [(_, outcome)] = await wait([one], here, told.append)
    assert outcome.ok
    assert told == [f"waiting for llm :{port}/v1: 127.0.0.1:{port} answers 503: Loading model"]


async def test_one_try_has_an_end(asked) -> None:
    async with serving(LlmServer([1.5])) as port:
        outcome = await asked(port=port, timeout_s=0.4)
    assert (outcome.ok, outcome.message) == (False, "no answer within 0.4 s")


@pytest.mark.parametrize("tools", [["python3"], ["bash", "curl"]])
async def test_tls(tls, tools: list[str], tmp_path: Path) -> None:
    if not all(map(shutil.which, tools)):
        pytest.skip("a tool is missing")
    words = {"scheme": "https", "host": "shop.example"}
    async with serving(LlmServer(), tls) as port:
        inside = place(way_in=only_with(tmp_path, *tools))
        trusting = await once(
            check("llm", at="inside", port=port, verify_tls=False, **words), inside
        )
        inside = place(way_in=only_with(tmp_path, *tools))
        careful = await once(check("llm", at="inside", port=port, **words), inside)
        outside = await once(check("llm", port=port, verify_tls=False, **words))
    assert trusting.ok, trusting.message
    assert outside.ok, outside.message
    assert "self-signed certificate" in careful.message


async def test_no_tool_inside(tmp_path: Path) -> None:
    for scheme, message in [
        ("http", "can't ask from inside: neither python3 nor bash is in the guest"),
        ("https", "can't ask from inside: neither python3 nor bash with curl is in the guest"),
    ]:
        one = check("llm", at="inside", scheme=scheme)
        outcome = await once(one, place(way_in=only_with(tmp_path)))
        assert outcome.message == message


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "poem"},
        {"concurrency": []},
        {"concurrency": [0]},
        {"concurrency": [5], "at": "inside"},
        {"kind": "embedding", "contains": "x"},
        {"kind": "rerank", "first_token_ms": 5},
        {"dimensions": 4},
        {"path": "v1"},
        {"samples": 0},
    ],
)
def test_words_that_make_no_sense(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        check("llm", **words)


def test_the_guests_own_objective() -> None:
    assert check("llm").with_objective(500).model_dump()["total_p95_ms"] == 500
    assert check("llm", total_p95_ms=900).with_objective(500).model_dump()["total_p95_ms"] == 900


def test_where_nothing_changed_one_answer_of_a_few_tokens_is_enough() -> None:
    words = check("llm", concurrency=[1, 4], samples=5, max_tokens=64).brief().model_dump()
    few = {"concurrency": [1], "samples": 1, "max_tokens": 4, "warm_up": False}
    assert {name: words[name] for name in few} == few
    assert check("llm", contains="blue").brief().model_dump()["max_tokens"] == 64


def test_titles_and_secrets() -> None:
    assert check("llm", port=8080, model="qwen").title == "llm :8080/v1 qwen"
    assert check("llm", host="llm.example").title == "llm llm.example:80/v1"
    assert "hush" not in repr(check("llm", api_key="hush"))
