"""The quickstart's database and service, from its own files, on real containers."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.support.featurebench import Bench, get

pytestmark = pytest.mark.incus
QUICKSTART = Path(__file__).parents[3] / "examples/quickstart"
PORT = 8100


@pytest.fixture(scope="module")
def service(bench: Bench, db: str) -> str:
    """The service's address; its port leaves the other tests' application alone."""
    guests = json.loads((QUICKSTART / "phoenix_lxc_configs.json").read_text())["lxc_configs"]
    bench.secrets["PORTFOLIO_DB_PASSWORD"] = "a password of this test"
    bench.secrets["LLM_API_KEY"] = "a key of this test"
    bench.deploy("db", "postgresql", guests["101"]["postgresql"])
    folder, bench.folder = bench.folder, QUICKSTART
    try:
        words = guests["102"]["python_api_service"]
        words["environment"]["LLM_HOST"] = "127.0.0.1"  # where no model runs
        bench.deploy("api", "python_api_service", words | {"port": PORT})
    finally:
        bench.folder = folder
    return f"{bench.ip('api')}:{PORT}"


def found(service: str, query: str) -> dict[str, Any]:
    status, body = get(service, f"/api/projects?{query}")
    assert status == 200, body
    answer: dict[str, Any] = json.loads(body)
    return answer


def post(service: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://{service}/api/projects", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_an_empty_database_is_filled_once(bench: Bench, service: str) -> None:
    assert json.loads(get(service, "/api/health")[1]) == {"database": "ok", "projects": 5}
    bench.sh("api", "systemctl restart portfolio-api")
    assert found(service, "")["total"] == 5


def test_without_the_models_only_questions_are_refused(service: str) -> None:
    status, body = get(service, "/api/sources?question=anything")
    assert (status, json.loads(body)) == (503, {"detail": "the embedding model can't be reached"})
    assert get(service, "/api/sources?question=%00")[0] == 422


def test_what_is_added_is_found_and_is_in_the_database(bench: Bench, service: str) -> None:
    status, made = post(
        service,
        json.dumps({"title": "Tea & <b>", "summary": "brewing kettles", "tags": ["Tea"]}).encode(),
    )
    assert (status, made["tags"]) == (201, ["tea"])
    assert found(service, "q=brewed")["projects"][0]["snippet"] == [
        {"text": "brewing", "match": True},
        {"text": " kettles", "match": False},
    ]
    assert [p["id"] for p in found(service, "q=kett")["projects"]] == [made["id"]]
    assert [p["id"] for p in found(service, "tag=tea")["projects"]] == [made["id"]]
    assert json.loads(get(service, f"/api/projects/{made['id']}")[1])["title"] == "Tea & <b>"
    ask = "cd / && runuser -u postgres -- psql -XAtq portfolio -c"
    assert (
        bench.sh("db", f'{ask} "select title from projects where id = {made["id"]}"') == "Tea & <b>"
    )
    assert post(service, b'{"title": "tea & <B>", "summary": "x"}')[0] == 409


def test_titles_weigh_more_than_summaries(service: str) -> None:
    assert found(service, "q=search")["projects"][0]["title"] == "Full-text search"


def test_pages_tell_the_total(service: str) -> None:
    page = found(service, "limit=2&offset=2")
    assert len(page["projects"]) == 2
    assert found(service, "offset=1000") == {"total": page["total"], "projects": []}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"title": " ", "summary": "x"}',
        b'{"title": "x"}',
        b'{"title": "a\\u0000b", "summary": "x"}',
        b'{"title": "\\ud800", "summary": "x"}',
        b'{"title": "x", "summary": "x", "url": "javascript:alert(1)"}',
        b'{"title": "x", "summary": "x", "tags": ["a;b"]}',
        b'{"title": "x", "summary": "x", "tags": ["1","2","3","4","5","6","7","8","9"]}',
        b'{"title": "x", "summary": "x", "id": 1}',
    ],
)
def test_bad_projects_are_refused_with_the_place(service: str, body: bytes) -> None:
    status, answer = post(service, body)
    assert status == 422
    assert answer["detail"][0]["loc"]


@pytest.mark.parametrize(
    "query", ["q=%22", "q='%20or%201=1--", "q=a%20%26%20!%20%7C", "q=the", "q=%ff", "q=:*", "q=a:b"]
)
def test_odd_searches_are_only_searches(service: str, query: str) -> None:
    assert found(service, query)["total"] >= 0


@pytest.mark.parametrize("path", ["/api/projects/0", "/api/projects/99999999999999999999"])
def test_what_is_not_there(service: str, path: str) -> None:
    assert get(service, path)[0] == 404


def test_without_its_database_it_says_so_and_comes_back(bench: Bench, service: str) -> None:
    bench.sh("db", "systemctl stop postgresql@17-main")
    try:
        assert get(service, "/api/projects")[0] == 503
    finally:
        bench.sh("db", "systemctl start postgresql@17-main")
    assert get(service, "/api/projects")[0] == 200
