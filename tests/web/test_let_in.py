"""Nobody gets anything without being let in, and those who are let in only what they may."""

import contextlib
import json
import re
import socket
import stat
import time

import httpx
import pytest
from tests.web.serving import PASSWORD, Serving, phoenix, serving
from tests.web.wire import cookie_of, upgrade

READS = [
    "/api/v1/session",
    "/api/v1/status",
    "/api/v1/gpus",
    "/api/v1/plan",
    "/api/v1/history",
    "/api/v1/history/last",
    "/api/v1/graph",
    "/api/v1/slo",
    "/api/v1/happenings",
    "/api/v1/jobs",
    "/api/v1/jobs/0",
    "/api/v1/jobs/0/events",
    "/api/v1/guests/lxc/101/plot?check=a",
    "/api/v1/guests/lxc/101/snapshots",
    "/api/v1/guests/lxc/101/logs",
    "/api/v1/openapi.json",
]
ACTS = [
    "/api/v1/apply",
    "/api/v1/check",
    "/api/v1/chat",
    "/api/v1/guests/lxc/101/restart",
    "/api/v1/guests/lxc/101/snapshot",
    "/api/v1/jobs/0/cancel",
]
PAGES = ["/", "/plan", "/topology", "/llm", "/history", "/slo", "/guest/lxc/101"]
FILES = [
    "/assets/phoenix.css",
    "/assets/phoenix.js",
    "/_nicegui/3/static/nicegui.css",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/metrics",
    "/favicon.ico",
    "/nothing/here",
    "/api/v1/nothing",
]


def test_these_are_all_that_there_is(person: httpx.Client) -> None:
    """What is added has to be added here as well."""
    from phoenix_hypervisor.web import pages

    def is_one_of(path: str, known: list[str]) -> bool:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"(\?.*)?")
        return any(pattern.fullmatch(one) for one in known)

    document = person.get("/api/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            assert is_one_of(path, {"get": READS, "post": ACTS}[method]), path
    for page in pages.found():
        assert is_one_of(page.PATH, PAGES), page.PATH


@pytest.mark.parametrize("path", READS + FILES)
def test_nothing_is_read_without_a_session(nobody: httpx.Client, path: str) -> None:
    answer = nobody.get(path)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "hint"}


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_is_done_without_a_session(nobody: httpx.Client, path: str, method: str) -> None:
    assert nobody.request(method, path, json={}).status_code == 401


@pytest.mark.parametrize("path", PAGES)
def test_a_page_leads_to_the_login_and_shows_nothing(nobody: httpx.Client, path: str) -> None:
    answer = nobody.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.content) == (303, b"")
    assert answer.headers["location"].startswith("/login?next=")


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "HEAD"])
def test_other_methods_are_no_way_around(nobody: httpx.Client, method: str) -> None:
    assert nobody.request(method, "/api/v1/status").status_code == 401


def test_no_websocket_without_a_session(shown: Serving) -> None:
    assert upgrade(shown, Origin=shown.url) == 403


def test_no_websocket_for_a_forged_session(shown: Serving) -> None:
    assert upgrade(shown, Origin=shown.url, Cookie=f"{shown.cookie}={'A' * 43}") == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
def test_no_websocket_for_another_origin(shown: Serving, person: httpx.Client, origin: str) -> None:
    assert upgrade(shown, Origin=origin, Cookie=cookie_of(shown, person)) == 403


def test_no_websocket_where_no_origin_is_told(shown: Serving, person: httpx.Client) -> None:
    assert upgrade(shown, Cookie=cookie_of(shown, person)) == 403


def test_no_websocket_elsewhere(shown: Serving, person: httpx.Client) -> None:
    cookie = cookie_of(shown, person)
    assert upgrade(shown, "/api/v1/status", Origin=shown.url, Cookie=cookie) == 403


def test_no_websocket_by_a_token(shown: Serving, tokens: dict[str, str]) -> None:
    bearer = f"Bearer {tokens['act']}"
    assert upgrade(shown, Origin=shown.url, Authorization=bearer) == 403


def test_the_stand_in_of_the_websocket_over_http_is_not_there(person: httpx.Client) -> None:
    assert person.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling").status_code == 404


# Sessions.


@pytest.mark.parametrize("name", ["", "x", "A" * 43, "../../etc/passwd", "%00", "é" * 20])
def test_a_forged_session_is_none(shown: Serving, nobody: httpx.Client, name: str) -> None:
    cookie = f"{shown.cookie}={name}".encode()
    assert nobody.get("/api/v1/status", headers={b"Cookie": cookie}).status_code == 401


def test_a_session_s_cookie_is_for_the_server_alone(shown: Serving) -> None:
    with shown.client() as client:
        told = client.post("/login", data={"secret": PASSWORD}).headers["set-cookie"]
    assert "HttpOnly" in told
    assert "samesite=strict" in told.lower()
    assert "Path=/" in told
    assert "Max-Age" not in told


def test_a_new_login_ends_the_session_before(shown: Serving) -> None:
    with shown.logged_in() as client:
        before = dict(client.cookies)
        client.post("/login", data={"secret": PASSWORD})
        assert client.get("/api/v1/session").status_code == 200
    with shown.client(cookies=before) as old:
        assert old.get("/api/v1/session").status_code == 401


def test_after_the_logout_the_session_is_over(shown: Serving) -> None:
    with shown.logged_in() as client:
        kept = dict(client.cookies)
        csrf = client.headers["X-CSRF-Token"]
        assert client.post("/logout", data={"csrf": "x"}).status_code == 403
        assert client.post("/logout", data={"csrf": csrf}).status_code == 303
    with shown.client(cookies=kept) as old:
        assert old.get("/api/v1/session").status_code == 401


def test_a_session_ends_when_idle_and_at_last_however_busy(shown: Serving) -> None:
    idle_s, lifetime_s = 3.0, 3.6
    background = {"X-Phoenix-Background": "1"}  # looks without using it
    short = serving(shown.folder, "--idle-minutes", "0.05", "--lifetime-hours", "0.001")
    with short as one, contextlib.ExitStack() as opened:
        begun, clients, ended = {}, {}, dict[str, float]()
        for who in ("idle", "busy"):
            begun[who] = time.monotonic()
            clients[who] = opened.enter_context(one.logged_in())
        while len(ended) < len(begun):
            for who, client in clients.items():
                headers = background if who == "idle" else {}
                if client.get("/api/v1/session", headers=headers).status_code != 200:
                    ended.setdefault(who, time.monotonic() - begun[who])
            assert time.monotonic() - begun["idle"] < 20
            time.sleep(0.1)
    assert ended["idle"] >= idle_s
    assert ended["busy"] >= lifetime_s


# The printed link.


def test_the_printed_link_lets_in_once(shown: Serving) -> None:
    with shown.client() as first, shown.client() as second:
        assert first.get(shown.enter).status_code == 303
        assert first.get("/api/v1/session").json()["who"] == "link"
        assert second.get(shown.enter).status_code == 401
        assert second.get("/enter?code=").status_code == 401


def test_its_name_is_the_dashboard_s_own_and_its_cookie_stays_there(
    shown: Serving, nobody: httpx.Client
) -> None:
    host = shown.link.removeprefix("http://").partition("/")[0]
    assert re.fullmatch(rf"phoenix-[0-9a-f]{{16}}\.localhost:{shown.port}", host)
    here = {"Host": host, "Origin": f"http://{host}"}
    answer = nobody.post("/login", data={"secret": PASSWORD}, headers=here)
    assert answer.status_code == 303
    assert "domain" not in answer.headers["set-cookie"].lower()


# Tokens.


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_read_only_token_reads(nobody: httpx.Client, tokens: dict[str, str]) -> None:
    assert nobody.get("/api/v1/status", headers=bearer(tokens["read"])).status_code == 200


@pytest.mark.parametrize("path", ACTS)
def test_a_read_only_token_cannot_act(
    nobody: httpx.Client, tokens: dict[str, str], path: str
) -> None:
    answer = nobody.post(path, json={}, headers=bearer(tokens["read"]))
    assert answer.status_code == 403
    assert "only read" in answer.json()["error"]


@pytest.mark.parametrize("path", ACTS)
def test_who_logged_in_with_it_cannot_act_either(
    shown: Serving, tokens: dict[str, str], path: str
) -> None:
    with shown.logged_in(tokens["read"]) as reader:
        assert reader.get("/api/v1/session").json()["role"] == "read"
        assert reader.post(path, json={}).status_code == 403


def test_a_token_that_may_act_acts_without_csrf(
    nobody: httpx.Client, tokens: dict[str, str]
) -> None:
    answer = nobody.post("/api/v1/check", json={}, headers=bearer(tokens["act"]))
    assert answer.status_code == 202


@pytest.mark.parametrize("given", ["x", "phx_", "phx_" + "A" * 43, PASSWORD])
def test_a_wrong_token_is_none(nobody: httpx.Client, given: str) -> None:
    assert nobody.get("/api/v1/status", headers=bearer(given)).status_code == 401


def test_a_token_in_the_address_is_none(nobody: httpx.Client, tokens: dict[str, str]) -> None:
    answer = nobody.get("/api/v1/status", params={"token": tokens["act"]})
    assert answer.status_code == 401


def test_a_token_opens_no_page(nobody: httpx.Client, tokens: dict[str, str]) -> None:
    assert nobody.get("/", headers=bearer(tokens["act"])).status_code == 401


def test_a_session_ends_with_its_token(shown: Serving) -> None:
    token = phoenix(shown.folder, "serve", "--new-token", "gone", "--may-act").removesuffix("\n")
    with shown.logged_in(token) as client:
        assert client.post("/api/v1/check", json={}).status_code == 202
        phoenix(shown.folder, "serve", "--forget-token", "gone")
        assert client.post("/api/v1/check", json={}).status_code == 401
        assert client.get("/api/v1/session").status_code == 401


def test_keys_are_kept_as_hashes_for_their_owner_alone(
    shown: Serving, tokens: dict[str, str]
) -> None:
    path = shown.folder / ".phoenix" / "serve.json"
    text = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(text)["password"].startswith("$argon2id$")
    assert PASSWORD not in text
    assert tokens["read"] not in text


def test_the_audit_log_says_who_did_what(shown: Serving, person: httpx.Client) -> None:
    job = person.post("/api/v1/check", json={"guests": ["cache"]}).json()["job"]
    person.get(f"/api/v1/jobs/{job}/events")
    lines = [line for line in shown.audit() if line["detail"] == job]
    assert [(x["who"], x["from"], x["action"], x["on"]) for x in lines] == [
        ("password", "127.0.0.1", "check", "cache")
    ] * 2
    assert [line["result"] for line in lines] == ["began", "ok"]
    path = shown.folder / ".phoenix" / "audit.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_an_act_was_about_is_in_the_audit_log(shown: Serving, person: httpx.Client) -> None:
    plan = person.get("/api/v1/plan").json()
    plan["changes"] = []  # so that it is refused: this is about the log
    body = {"plan": plan, "allow_destructive": ["lxc/102"]}
    job = person.post("/api/v1/apply", json=body).json()["job"]
    begun = next(line for line in shown.audit() if line["detail"].startswith(job))
    assert (begun["action"], begun["result"]) == ("apply", "began")
    assert "lxc/102" in begun["detail"]
    name = {"name": "kept-name"}
    job = person.post("/api/v1/guests/lxc/101/snapshot", json=name).json()["job"]
    assert f"{job} kept-name" in [line["detail"] for line in shown.audit()]


def test_refused_acts_and_wrong_tokens_are_in_it_as_well(
    shown: Serving, nobody: httpx.Client, tokens: dict[str, str]
) -> None:
    for token in (tokens["read"], "phx_wrong"):
        nobody.post("/api/v1/check", json={}, headers=bearer(token))
    refused = {(x["who"], x["action"]) for x in shown.audit() if x["result"] == "refused"}
    assert {("token reader", "act"), ("?", "login")} <= refused


def test_nothing_is_done_where_nobody_could_tell_who_did_it(
    shown: Serving, person: httpx.Client
) -> None:
    log = shown.folder / ".phoenix" / "audit.jsonl"
    log.rename(log.with_suffix(".kept"))
    log.mkdir()
    try:
        jobs = person.get("/api/v1/jobs").json()
        answer = person.post("/api/v1/check", json={})
        assert answer.status_code == 500
        assert "audit log" in answer.json()["error"]
        assert person.get("/api/v1/jobs").json() == jobs
        with shown.client() as client:
            assert client.post("/login", data={"secret": PASSWORD}).status_code == 503
            assert not client.cookies
    finally:
        log.rmdir()
        log.with_suffix(".kept").rename(log)


def test_keys_that_cannot_be_read_let_nobody_in_and_tell_strangers_no_path(
    shown: Serving, nobody: httpx.Client, tokens: dict[str, str]
) -> None:
    path = shown.folder / ".phoenix" / "serve.json"
    path.chmod(0o644)
    try:
        by_token = nobody.get("/api/v1/status", headers=bearer(tokens["read"]))
        form, tried = nobody.get("/login"), nobody.post("/login", data={"secret": PASSWORD})
    finally:
        path.chmod(0o600)
    for answer in (by_token, form, tried):
        assert answer.status_code == 503
        assert "serve.json" not in answer.text
    assert "Traceback" not in shown.log.read_text()


def test_a_raw_request_without_host_is_refused(shown: Serving) -> None:
    with socket.create_connection(("127.0.0.1", shown.port), 5) as wire:
        wire.sendall(b"GET /api/v1/status HTTP/1.0\r\n\r\n")
        assert b" 421 " in wire.recv(200)
