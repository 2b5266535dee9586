"""What attackers try over HTTP: other sites, other names, paths, bodies, and many passwords."""

import contextlib
import http.client
import json
import re
import socket
import time

import httpx
import pytest
from tests.web.serving import PASSWORD, Serving, phoenix, serving

CHECK = "/api/v1/check"


# Other sites (CSRF) and other names (DNS rebinding).


@pytest.mark.parametrize("token", [None, "", "x", "A" * 43])
def test_without_its_csrf_token_a_session_cannot_act(shown: Serving, token: str | None) -> None:
    with shown.logged_in() as client:
        del client.headers["X-CSRF-Token"]
        given = {} if token is None else {"X-CSRF-Token": token}
        assert client.post(CHECK, json={}, headers=given).status_code == 403


def test_the_csrf_token_of_another_session_is_none(shown: Serving) -> None:
    with shown.logged_in() as one, shown.logged_in() as other:
        given = {"X-CSRF-Token": other.headers["X-CSRF-Token"]}
        assert one.post(CHECK, json={}, headers=given).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_cannot_act_nor_log_in(
    person: httpx.Client, shown: Serving, headers: dict[str, str]
) -> None:
    assert person.post(CHECK, json={}, headers=headers).status_code == 403
    with shown.client() as client:
        answer = client.post("/login", data={"secret": PASSWORD}, headers=headers)
        assert answer.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", ""])
def test_another_name_is_refused(person: httpx.Client, host: str) -> None:
    assert person.get("/api/v1/status", headers={"Host": host}).status_code == 421


def test_another_site_may_not_read_either(person: httpx.Client) -> None:
    answer = person.get("/api/v1/status", headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "http://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\t/evil",
        "//[",
    ],
)
def test_the_login_leads_nowhere_else(shown: Serving, wanted: str) -> None:
    with shown.client() as client:
        answer = client.post("/login", data={"secret": PASSWORD, "next": wanted})
        assert answer.headers["location"] == "/"


def test_what_the_login_is_given_is_escaped(nobody: httpx.Client) -> None:
    text = nobody.get("/login", params={"next": '/"><script>alert(1)</script>'}).text
    assert "<script>alert" not in text
    assert "&quot;&gt;&lt;script&gt;alert" in text


def test_a_login_that_is_no_form_is_told_so(shown: Serving, nobody: httpx.Client) -> None:
    assert nobody.get("/login", params={"next": "//["}).status_code == 200
    fields = {f"a{number}": "x" for number in range(12)}
    assert nobody.post("/login", data=fields).status_code == 400
    assert "Traceback" not in shown.log.read_text()


# Paths.


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../server.py",
        "/assets/..%2f..%2fserver.py",
        "/assets/%2e%2e/%2e%2e/server.py",
        "/assets/....//server.py",
        "/assets/..%5c..%5cserver.py",
        "/assets//etc/passwd",
        "/login/../api/v1/status",
        "//api/v1/status",
        "/assets/%00",
        "/assets/login.css/../../security/keys.py",
        "/_nicegui/3.0/static/../../../../etc/passwd",
        "/assets/%252e%252e/server.py",
    ],
)
@pytest.mark.parametrize("who", ["nobody", "person"])
def test_no_path_leads_out(shown: Serving, person: httpx.Client, path: str, who: str) -> None:
    cookie = {"Cookie": f"{shown.cookie}={person.cookies[shown.cookie]}"} if who == "person" else {}
    wire = http.client.HTTPConnection("127.0.0.1", shown.port, timeout=10)
    wire.putrequest("GET", path, skip_accept_encoding=True)
    for name, value in cookie.items():
        wire.putheader(name, value)
    wire.endheaders()
    answer = wire.getresponse()
    assert answer.status in (400, 401, 404)
    assert b"import" not in answer.read()
    wire.close()


@pytest.mark.parametrize("guest", ["lxc/0", "lxc/-1", "lxc/1e3", "host/1", "lxc/999", "vm/101"])
def test_a_guest_that_is_none_is_none(person: httpx.Client, guest: str) -> None:
    answer = person.post(f"/api/v1/guests/{guest}/restart")
    assert answer.status_code in (404, 422)


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"guests": 1}',
        b'{"guests": [1]}',
        b"\xff\xfe",
        b'{"else": 1}',
        b'{"guests": [""]}',
        b"[" * 20_000,
    ],
)
def test_a_malformed_body_is_told_so(person: httpx.Client, body: bytes) -> None:
    answer = person.post(CHECK, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert "error" in answer.json()


def test_an_oversize_body_is_not_read(person: httpx.Client) -> None:
    big = json.dumps({"guests": ["x" * 100_000]})
    assert person.post(CHECK, content=big).status_code == 413


def test_nor_one_that_does_not_tell_its_size(person: httpx.Client) -> None:
    parts = (b"x" * 10_000 for _ in range(50))
    assert person.post(CHECK, content=parts).status_code in (400, 413)


def test_nor_before_the_login(nobody: httpx.Client) -> None:
    assert nobody.post("/login", content=b"secret=" + b"x" * 100_000).status_code == 413


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"format": 1},
        {"format": 1, "version": "0", "changes": []},
        {"format": 2, "changes": [{"address": "lxc/101", "action": "delete"}]},
    ],
)
def test_what_is_no_plan_is_not_applied(person: httpx.Client, plan: dict[str, object]) -> None:
    answer = person.post("/api/v1/apply", json={"plan": plan})
    assert answer.status_code == 400
    assert "plan" in answer.json()["error"]


def test_an_edited_plan_is_not_applied(person: httpx.Client) -> None:
    plan = person.get("/api/v1/plan").json()
    plan["changes"] = plan["changes"][:1]
    job = person.post("/api/v1/apply", json={"plan": plan}).json()["job"]
    person.get(f"/api/v1/jobs/{job}/events")
    told = person.get(f"/api/v1/jobs/{job}").json()["job"]
    assert told["state"] == "failed"
    assert "not as it was made" in told["error"]
    assert person.get("/api/v1/status").json()["guests"][0]["state"] == "absent"


# Headers.


@pytest.mark.parametrize("path", ["/", "/login", "/api/v1/status", "/nothing", "/assets/login.css"])
def test_every_answer_has_its_headers(person: httpx.Client, path: str) -> None:
    headers = person.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers


def test_pages_and_answers_are_kept_by_no_cache(person: httpx.Client) -> None:
    for path in ("/", "/login", "/api/v1/status"):
        assert person.get(path).headers["cache-control"] == "no-store"


def test_every_page_has_a_nonce_of_its_own_that_its_own_scripts_bear(person: httpx.Client) -> None:
    answers = [person.get("/") for _ in range(3)]
    nonces = set()
    for one in answers:
        (nonce,) = re.findall(r"'nonce-([\w-]+)'", one.headers["content-security-policy"])
        nonces.add(nonce)
        tags = re.findall(r"<script[^>]*>", one.text)
        bare = [tag for tag in tags if f'nonce="{nonce}"' not in tag]
        assert len(tags) > 5
        assert bare == ['<script src="/assets/phoenix.js">']  # a file, which needs none
    assert len(nonces) == 3


# Many passwords.


def test_brute_force_has_to_wait_and_makes_nobody_else_wait(
    shown: Serving, tokens: dict[str, str]
) -> None:
    with serving(shown.folder) as own, own.client() as client, own.logged_in() as known:
        statuses = [client.post("/login", data={"secret": f"no{n}"}).status_code for n in range(8)]
        assert statuses[:5] == [401] * 5
        assert 429 in statuses[5:]
        # Those who need not guess, and a browser that was let in before:
        with own.client() as other:
            assert other.post("/login", data={"secret": tokens["read"]}).status_code == 303
        assert known.post("/login", data={"secret": PASSWORD}).status_code == 303
        # which is no way to try more passwords (the first waits are over on a slow machine).
        tried = [client.post("/login", data={"secret": "no"}).status_code for _ in range(2)]
        assert 429 in tried
        answer = client.post("/login", data={"secret": PASSWORD})
        assert answer.status_code == 429
        wait = int(answer.headers["retry-after"])
        assert 1 <= wait <= 60
        time.sleep(wait)
        assert client.post("/login", data={"secret": PASSWORD}).status_code == 303
        for _ in range(30):
            client.get("/enter?code=x")
        refused = [x for x in own.audit() if x["from"] == "127.0.0.1" and x["result"] == "refused"]
        assert refused[-1]["detail"] == "a wrong password or token"


def test_connections_beyond_a_limit_are_refused_and_then_served_again(shown: Serving) -> None:
    with contextlib.ExitStack() as many, shown.client() as client:
        for _ in range(520):
            many.enter_context(socket.create_connection(("127.0.0.1", shown.port), 10))
        assert client.get("/login").status_code == 503
    until = time.monotonic() + 10
    with shown.client() as client:
        while client.get("/login").status_code == 503:
            assert time.monotonic() < until
            time.sleep(0.1)


# Where it listens.


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--listen", "0.0.0.0:18420"], "needs TLS"),
        (["--listen", "10.1.2.3:18420"], "needs TLS"),
        (["--listen", "::1"], "no address"),
        (["--listen", "127.0.0.1:0"], "no port"),
        (["--listen", "127.0.0.1:99999"], "no port"),
        (["--cert", "c.pem"], "belong together"),
    ],
)
def test_it_listens_nowhere_unsafe(shown: Serving, words: list[str], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        phoenix(shown.folder, "serve", *words)


def test_a_short_password_is_refused(shown: Serving) -> None:
    with pytest.raises(AssertionError, match="12"):
        phoenix(shown.folder, "serve", "--set-password", stdin="short\n")
