"""Streams as servers and networks really cut them, and what is measured of them."""

import json
import random
import statistics
from typing import Any

import pytest

from phoenix_hypervisor.verify.answered import No
from phoenix_hypervisor.verify.llm.exchange import Exchange, Refused
from phoenix_hypervisor.verify.llm.figures import Figures, percentile
from phoenix_hypervisor.verify.llm.prompts import fitted, prompt
from phoenix_hypervisor.verify.llm.question import Question, Server
from phoenix_hypervisor.verify.llm.reading import Answer, read
from phoenix_hypervisor.verify.llm.sse import Event, Events
from phoenix_hypervisor.verify.llm.wire import reply

CHAT = Question("chat", "m", "hello")


def events(*parts: bytes) -> list[Event]:
    stream = Events()
    found = [event for part in parts for event in stream.feed(part)]
    return [*found, *stream.end()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: a\n\ndata: b\n\n", [Event("a"), Event("b")]),
        ("data: a\r\n\r\ndata:b\r\r", [Event("a"), Event("b")]),
        ("data: one\ndata: two\n\n", [Event("one\ntwo")]),
        (": ping\n\ndata: a\n: ping\n\n", [Event("a")]),
        ("event: error\ndata: a\nid: 5\nretry: 9\n\n", [Event("a", "error")]),
        ("event: lost\n\ndata: a\n\n", [Event("a")]),
        ("data\n\ndata:  blank\n\n", [Event(""), Event(" blank")]),
        ("\ufeffdata: a\n\n", [Event("a")]),
        ("data: without an end", [Event("without an end")]),
        ("data: grüße 🐦\n\n", [Event("grüße 🐦")]),
        ("\n\n\n", []),
        ("", []),
    ],
)
def test_events_however_they_are_cut(text: str, expected: list[Event]) -> None:
    whole = text.encode()
    chance = random.Random(7)  # noqa: S311
    assert events(whole) == expected
    assert events(*(whole[n : n + 1] for n in range(len(whole)))) == expected
    for _ in range(50):
        cuts = sorted(chance.randrange(len(whole) + 1) for _ in range(4))
        parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        assert events(*parts) == expected


def streamed(*data: tuple[float, Any], ended_s: float = 9.0) -> Exchange:
    """A stream of these events at these seconds: texts as they are, the rest as JSON."""
    pieces = tuple(
        (at_s, (one if isinstance(one, str) else f"data: {json.dumps(one)}\n\n").encode())
        for at_s, one in data
    )
    return Exchange("here", 200, "text/event-stream; charset=utf-8", pieces, ended_s)


def delta(finish: str | None = None, **words: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": words, "finish_reason": finish}]}


DONE = "data: [DONE]\n\n"
ROLE = delta(role="assistant", content="")
LAST = delta("stop")
USAGE = {"choices": [], "usage": {"completion_tokens": 7, "prompt_tokens": 3}}


def test_times_are_those_of_the_tokens() -> None:
    exchange = streamed(
        (0.1, ROLE), (0.5, delta(content="a")), (0.6, delta(content="b")), (0.9, LAST), (1.0, DONE)
    )
    found = read(CHAT, exchange)
    assert (found.first_s, found.last_s, found.total_s, found.text) == (0.5, 0.6, 1.0, "ab")
    assert (found.tokens, found.counted) == (2, "chunks")


def test_the_servers_count_goes_before_ours() -> None:
    found = read(CHAT, streamed((0.1, delta(content="ab")), (0.2, LAST), (0.3, USAGE), (0.3, DONE)))
    assert (found.tokens, found.counted, found.prompt_tokens) == (7, "usage", 3)


@pytest.mark.parametrize("end", [[LAST], [DONE], [LAST, USAGE]])
def test_one_of_both_ends_will_do(end: list[Any]) -> None:
    assert read(CHAT, streamed((0.1, delta(content="a")), *((0.2, e) for e in end))).text == "a"


def test_thoughts_and_tools_are_tokens_too() -> None:
    thought = streamed((0.1, delta(reasoning_content="hm")), (0.2, delta(content="a")), (0.3, DONE))
    assert (read(CHAT, thought).first_s, read(CHAT, thought).text) == (0.1, "a")
    tool = streamed((0.1, delta(tool_calls=[{"id": "x"}], content=None)), (0.3, LAST))
    assert read(CHAT, tool).first_s == 0.1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([ROLE, delta(content="a")], "the answer of here broke off after 1 chunks"),
        ([], "the answer of here broke off after 0 chunks"),
        ([ROLE, LAST, DONE], "here gave an empty answer"),
        (["data: {oops\n\n"], "here streams '{oops', which is no JSON"),
        (["data: 5\n\n"], "here streams '5', which is no completion"),
        ([{"error": {"message": "too long"}}], "here broke off with an error: too long"),
        ([{"error": "too long"}], "here broke off with an error: too long"),
        (
            ['event: error\ndata: {"detail": [{"msg": "too long"}]}\n\n'],
            "here broke off with an error: too long",
        ),
        ([{"choices": ["a"]}], "here answers what is no completion: "),
        ([{"choices": 5}], "here answers what is no completion: "),
    ],
)
def test_a_stream_that_is_no_answer(data: list[Any], message: str) -> None:
    with pytest.raises(No) as caught:
        read(CHAT, streamed(*((0.1, one) for one in data)))
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, '{"error": {"message": "bad key"}}', "here answers 401: bad key"),
        (400, '{"error": "bad word"}', "here answers 400: bad word"),
        (422, '{"detail": [{"loc": ["a"], "msg": "too few"}]}', "here answers 422: too few"),
        (502, "<html><title>502 Bad Gateway</title>", "here answers 502: 502 Bad Gateway"),
        (500, "", "here answers 500"),
        (200, "<html>hello", "here answers '<html>hello', which is no JSON"),
        (200, "[]", "here answers what is no completion: '[]'"),
        (200, '{"choices": []}', "here answers what is no completion: "),
    ],
)
def test_errors_in_the_servers_own_words(status: int, body: str, message: str) -> None:
    exchange = Exchange("here", status, "application/json", ((0.1, body.encode()),), 0.1)
    with pytest.raises(No) as caught:
        read(CHAT, exchange)
    assert caught.value.message.startswith(message)


def chunked(*parts: bytes) -> bytes:
    body = b"".join(b"%x;name=value\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def test_chunks_however_the_wire_cuts_them() -> None:
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(b"a" * 20, "grüße\r\n".encode(), b"0\r\n")
    for size in (1, 2, 3, 7, 50, len(whole)):
        pieces = [(n / 100, whole[n : n + size]) for n in range(0, len(whole), size)]
        found = reply("here", pieces)
        assert found.text == "a" * 20 + "grüße\r\n" + "0\r\n"
        times = [at_s for at_s, _ in found.pieces]
        assert times == sorted(times)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (chunked(b"abc")[:-9], "the answer of here broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "the answer of here broke off"),
        (b"220 mail.example ESMTP\r\n\r\n", "here does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "here does not speak HTTP"),
        (chunked(b"abc").replace(b"3;", b"x;"), "here does not speak HTTP"),
        (b"", "no answer from here"),
    ],
)
def test_what_is_no_reply(data: bytes, message: str) -> None:
    with pytest.raises(No, match=message):
        reply("here", [(0.1, data)] if data else [])


def test_percentiles_lie_on_straight_lines_between_the_values() -> None:
    chance = random.Random(3)  # noqa: S311
    for count in (2, 3, 20, 101):
        values = [chance.random() for _ in range(count)]
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        assert [percentile(values, n) for n in range(1, 100)] == pytest.approx(cuts)
        assert (percentile(values, 0), percentile(values, 100)) == (min(values), max(values))
    assert percentile([4.0], 95) == 4.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_figures() -> None:
    answers = [
        Answer(total_s=1.0, tokens=11, first_s=0.5, last_s=1.0, prompt_tokens=10),
        Answer(total_s=3.0, tokens=11, first_s=1.0, last_s=3.0, prompt_tokens=20),
    ]
    found = Figures.of(2, answers, ["no", "no", "never"], elapsed_s=4.0)
    assert (found.asked, found.answered, found.tokens, found.prompt_tokens) == (5, 2, 22, 15)
    assert found.total_ms is not None
    assert found.total_ms.p50 == 2000
    assert found.total_ms.p95 == pytest.approx(2900)
    assert found.between_tokens_ms is not None
    assert found.between_tokens_ms.p50 == pytest.approx((50 + 200) / 2)
    assert found.tokens_per_s is not None
    assert found.tokens_per_s.p50 == pytest.approx((11 + 11 / 3) / 2)
    assert (found.all_tokens_per_s, found.requests_per_s) == (5.5, 0.5)
    assert found.errors == {"no": 2, "never": 1}


def test_nothing_measured_is_no_number() -> None:
    found = Figures.of(1, [], ["no"], elapsed_s=0.0)
    assert (found.total_ms, found.first_token_ms, found.all_tokens_per_s) == (None, None, 0.0)


def test_prompts_differ_from_their_beginning_and_are_always_the_same() -> None:
    assert prompt(1, 50) == prompt(1, 50)
    assert len({prompt(n, 50)[:2] for n in range(9)}) == 9
    assert len(prompt(1, 50).split()) == 50
    assert prompt(1, 1)


def test_the_length_of_prompts_follows_what_the_server_counts() -> None:
    for per_word, always in ((1.0, 0), (1.3, 10), (2.0, 40)):
        seen = [(words, round(words * per_word + always)) for words in (128, 64)]
        words = fitted(128, *seen)
        assert words * per_word + always == pytest.approx(128, abs=2)
    assert fitted(128, (128, 0), (64, 0)) == 128
    assert fitted(8, (8, 60), (4, 55)) == 1


def test_a_key_is_never_shown() -> None:
    server = Server("10.0.0.5", 80, api_key="hush")
    assert "hush" not in repr(server)
    assert "hush" not in repr(server.request("GET", "/models"))


def test_a_limit_is_told_to_count_the_own_questions_too() -> None:
    body = b'{"error": {"message": "wait a little"}}'
    with pytest.raises(Refused) as caught:
        read(CHAT, Exchange("here", 429, "application/json", ((0.1, body),), 0.1))
    assert caught.value.status == 429
    assert caught.value.message.startswith("here answers 429: wait a little (the questions asked")
    with pytest.raises(Refused) as caught:
        read(CHAT, Exchange("here", 401, "application/json", ((0.1, body),), 0.1))
    assert caught.value.message == "here answers 401: wait a little"
