"""The API: the same documents as the commands', and nothing that its OpenAPI does not say."""

import json
import sqlite3
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.web.serving import Serving, phoenix

_TRUE = [status_code_conformance, content_type_conformance, response_schema_conformance]
_LONGEST_LINE = 65_000
_FEW = 6
_LOOK = ("status", "plan", "graph")


@pytest.fixture(scope="module", autouse=True)
def applied(shown: Serving) -> None:
    phoenix(shown.folder, "apply", "--yes")


@pytest.mark.parametrize("word", _LOOK)
def test_a_document_is_the_command_s(shown: Serving, person: httpx.Client, word: str) -> None:
    options = ["--gpus"] if word == "status" else []
    said = json.loads(phoenix(shown.folder, "--json", word, *options))
    assert person.get(f"/api/v1/{word}").json() == said


def test_the_history_is_the_command_s(shown: Serving, person: httpx.Client) -> None:
    said = json.loads(phoenix(shown.folder, "--json", "history", "last"))
    assert person.get("/api/v1/history/last").json() == said


def test_a_plan_is_applied_with_a_stream_of_events(shown: Serving, person: httpx.Client) -> None:
    path = shown.folder / "phoenix_lxc_configs.json"
    words = json.loads(path.read_text())
    words["lxc_configs"]["102"]["memory_mb"] += 64
    path.write_text(json.dumps(words))
    plan = person.get("/api/v1/plan").json()
    assert [c["address"] for c in plan["changes"]] == ["lxc/102"]
    begun = person.post("/api/v1/apply", json={"plan": plan}).json()
    lines = person.get(begun["events"]).text.splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert ("lxc/102", "finished") in [(e.get("address"), e.get("event")) for e in events]
    assert events[-1]["state"] == "ok"
    assert events[-1]["result"]["ok"] is True
    again = person.post("/api/v1/apply", json={"plan": plan}).json()
    person.get(again["events"])
    told = person.get(f"/api/v1/jobs/{again['job']}").json()["job"]
    assert (told["state"], "no longer fits" in told["error"]) == ("failed", True)


def test_a_snapshot_is_taken_and_listed(person: httpx.Client) -> None:
    begun = person.post("/api/v1/guests/lxc/101/snapshot", json={"name": "by-test"})
    person.get(begun.json()["events"])
    listed = person.get("/api/v1/guests/lxc/101/snapshots").json()["guests"]
    assert [one["name"] for one in listed[0]["snapshots"]] == ["by-test"]


def test_metrics_are_told_to_a_token(nobody: httpx.Client, tokens: dict[str, str]) -> None:
    given = {"Authorization": f"Bearer {tokens['read']}"}
    assert "phoenix_" in nobody.get("/metrics", headers=given).text


def test_what_is_not_there_is_told_as_all_errors(
    nobody: httpx.Client, tokens: dict[str, str]
) -> None:
    given = {"Authorization": f"Bearer {tokens['act']}"}
    for method in ("GET", "POST", "DELETE"):
        answer = nobody.request(method, "/api/v1/nothing", headers=given)
        assert (answer.status_code, set(answer.json())) == (404, {"error", "hint"})
    answer = nobody.put("/api/v1/apply", headers=given)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_what_is_wrong_with_a_request_is_told_in_words(person: httpx.Client) -> None:
    given = {"Content-Type": "application/json"}

    def told(path: str, body: str) -> tuple[int, str]:
        answer = person.post(f"/api/v1/{path}", content=body, headers=given)
        return answer.status_code, answer.json()["error"]

    assert told("apply", "") == (422, "a JSON body is missing")
    assert told("apply", "{}") == (422, "plan: is missing")
    assert told("apply", "{x") == (
        422,
        "the body is no JSON: Expecting property name enclosed in double quotes at character 1",
    )
    assert told("check", '{"guests": ["nope"]}')[0] == 400


def test_the_openapi_has_titles(person: httpx.Client) -> None:
    paths = person.get("/api/v1/openapi.json").json()["paths"]
    assert paths["/api/v1/session"]["get"]["summary"] == (
        "Who asks, and what their unsafe requests must show"
    )


def test_measurements_that_cannot_be_read_are_told_as_such(
    shown: Serving, person: httpx.Client
) -> None:
    path = shown.folder / ".phoenix" / "watch.sqlite3"
    broken = sqlite3.connect(path)
    broken.execute("CREATE TABLE another (a)")
    broken.execute("PRAGMA user_version = 1")
    broken.commit()
    broken.close()
    try:
        for one in ("happenings", "guests/lxc/101/plot?check=a"):
            answer = person.get(f"/api/v1/{one}")
            assert answer.status_code == 500
            assert "can't be read" in answer.json()["error"]
        for page in ("/", "/guest/lxc/101", "/llm"):
            assert person.get(page).status_code == 200
    finally:
        path.unlink()


@pytest.fixture
def schema(person: httpx.Client) -> schemathesis.BaseSchema:
    document = person.get("/api/v1/openapi.json").json()
    return schemathesis.openapi.from_dict(document)


@pytest.mark.parametrize("examples", [_FEW, pytest.param(60, marks=pytest.mark.long)])
def test_the_openapi_tells_the_truth(
    schema: schemathesis.BaseSchema, shown: Serving, person: httpx.Client, examples: int
) -> None:
    """Requests as it says and requests as it forbids, of every operation: few and always the same
    ones, or many and new ones each time.
    """
    headers = {
        "X-CSRF-Token": person.headers["X-CSRF-Token"],
        "Cookie": f"{shown.cookie}={person.cookies[shown.cookie]}",
    }
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        for mode in GenerationMode:
            try:
                cases = operation.as_strategy(generation_mode=mode)

                @settings(
                    max_examples=examples,
                    derandomize=examples == _FEW,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=cases)
                def holds(case: Any) -> None:
                    nonlocal asked
                    asked += 1
                    answer = case.call(base_url=shown.url, headers=headers, timeout=30)
                    # A longer line is no request to any server (RFC 9112, 3).
                    assume(len(answer.request.url or "") < _LONGEST_LINE)
                    case.validate_response(answer, checks=_TRUE)
                    assert answer.status_code not in (500, 401), answer.text

                holds()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # nothing about it can be wrong
    assert asked > 100
