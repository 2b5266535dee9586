"""An OpenAI-compatible endpoint before two model servers, and who may reach those: for real."""

import http.client
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from tests.e2e.stack import Stack, write
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

ADA, BOB, ENGINE = "sk-ada-0123456789", "sk-bob.0123456789", "sk-engine-0123456789"
SECRETS = {"ADAS": ADA, "BOBS": BOB, "ENGINE": ENGINE}
KEYS = {"keys": {"ada": {"secret": "ADAS"}, "bob": {"secret": "BOBS"}}}
SERVER = r"""#!/bin/sh
cat > /root/server.py <<'END'
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length))
        if body.get("stream"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("X-Accel-Buffering", "yes")
            self.send_header("Connection", "close")
            self.end_headers()
            for word in range(4):
                self.wfile.write(b"data: %d\n\n" % word)
                time.sleep(0.3)
            self.close_connection = True
            return
        heard = {"by": sys.argv[1], "path": self.path, "length": length, "model": body["model"],
                 "authorization": self.headers.get("Authorization"), "host": self.headers["Host"]}
        text = json.dumps(heard).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

ThreadingHTTPServer(("", int(sys.argv[2])), Handler).serve_forever()
END
systemctl stop tiny 2>/dev/null
systemd-run --quiet --unit=tiny python3 /root/server.py "$1" "$2"
for _ in $(seq 50); do ss -tln | grep -q ":$2 " && exit 0; sleep 0.1; done
exit 1
"""


def served(name: str, port: int, **words: Any) -> dict[str, Any]:
    return {
        "name": name,
        "template": "debian-13-standard",
        "application_script": "server.sh",
        "application_script_args": [name, str(port)],
        "checks": [{"tcp": {"port": port, "from": "inside"}}],
        **words,
    }


def guests() -> dict[str, Any]:
    chat = {
        "models": ["tiny/chat:1b"],
        "engine_path": "/openai",
        "api_key": {"secret": "ENGINE"},
        "max_body_mb": 6,
    }
    embed = {"models": [{"name": "tiny-embed", "kind": "embedding"}]}
    return {
        "301": {
            "name": "web",
            "template": "debian-13-standard",
            "features": ["nginx"],
            "routes": [
                {"llm": {"guests": ["302", "303"], "max_body_mb": 6}, "auth": KEYS},
                {
                    "host": "slow.test",
                    "llm": {"guests": ["303"]},
                    "auth": KEYS,
                    "rate_limit": {"requests": 2},
                },
                {
                    "host": "open.test",
                    "llm": {"guests": ["303"]},
                    "rate_limit": {"requests": 60},
                },
            ],
        },
        "302": served(
            "chat",
            8000,
            routes=[{"host": "chat.test", "path": "/", "port": 8000, "llm": chat, "auth": KEYS}],
        ),
        "303": served("embed", 9000, routes=[{"host": "embed.test", "port": 9000, "llm": embed}]),
        "304": {"name": "user", "template": "debian-13-standard", "dependencies": ["303"]},
        "305": {"name": "other", "template": "debian-13-standard"},
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("n")
    made = write(tmp_path_factory.mktemp("llm") / "folder", corner, guests())
    (made.folder / "scripts").mkdir()
    (made.folder / "scripts" / "server.sh").write_text(SERVER)
    secrets = made.folder / ".phoenix-secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text("".join(f"{name}={value}\n" for name, value in SECRETS.items()))
    try:
        made.ok("apply", "--yes", "--parallel", "5")
        yield made
    finally:
        lab.clear(corner.name)


def address(stack: Stack, number: int) -> str:
    return f"{stack.lab.subnet()}.{number + 10}"


def ask(
    stack: Stack, path: str, body: Any = None, key: str | None = ADA, host: str = "any.test"
) -> tuple[int, Any, http.client.HTTPMessage]:
    """Status, JSON and headers of an answer of the proxy."""
    connection = http.client.HTTPConnection(address(stack, 0), timeout=20)
    headers = {"Host": host} | ({"Authorization": f"Bearer {key}"} if key else {})
    sent = json.dumps(body) if not isinstance(body, str | None) else body
    if sent:
        headers["Content-Type"] = "application/json"
    connection.request("POST" if sent else "GET", path, sent, headers)
    reply = connection.getresponse()
    text = reply.read().decode()
    assert reply.headers["Content-Type"] == "application/json", text
    return reply.status, json.loads(text), reply.headers


def test_a_key_opens_and_nothing_else(stack: Stack) -> None:
    chat = {"model": "tiny/chat:1b", "messages": []}
    for wrong in (None, "sk-ada-012345678", ADA.upper(), f"{ADA}x", BOB.replace(".", "x"), ENGINE):
        status, answer, headers = ask(stack, "/v1/chat/completions", chat, wrong)
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        assert headers["WWW-Authenticate"].startswith("Bearer")
        assert ask(stack, "/v1/models", key=wrong)[0] == 401
    for right in (ADA, BOB):
        assert ask(stack, "/v1/chat/completions", chat, right)[0] == 200


def test_all_models_are_listed(stack: Stack) -> None:
    _, listed, _ = ask(stack, "/v1/models")
    assert listed["object"] == "list"
    assert [one["id"] for one in listed["data"]] == ["tiny/chat:1b", "tiny-embed"]
    assert ask(stack, "/v1/models/tiny/chat:1b")[1]["id"] == "tiny/chat:1b"
    assert ask(stack, "/v1/models/nothing")[0] == 404
    assert len(ask(stack, "/v1/models", key=None, host="embed.test")[1]["data"]) == 1


def test_the_model_that_is_named_answers(stack: Stack) -> None:
    status, chat, _ = ask(stack, "/v1/chat/completions?a=b%20c", {"model": "tiny/chat:1b"})
    assert (status, chat["by"], chat["path"]) == (200, "chat", "/openai/chat/completions?a=b%20c")
    assert chat["authorization"] == f"Bearer {ENGINE}"
    status, embed, _ = ask(stack, "/v1/embeddings", {"model": "tiny-embed", "input": "é"})
    assert (status, embed["by"], embed["path"]) == (200, "embed", "/v1/embeddings")
    assert embed["authorization"] is None
    _, bare, _ = ask(stack, "/chat/completions", {"model": "tiny/chat:1b"}, host="chat.test")
    assert bare["path"] == "/openai/chat/completions"


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found", "tiny/chat:1b, tiny-embed"),
        ({"model": "__proto__"}, 404, "model_not_found", "`__proto__`"),
        ({"messages": []}, 400, "model_missing", "names no"),
        ('{"model": ', 400, "invalid_json", "read as JSON"),
        ("[1]", 400, "invalid_json", "no JSON object"),
    ],
)
def test_what_no_server_can_answer_is_told(
    stack: Stack, body: Any, status: int, code: str, said: str
) -> None:
    got, answer, _ = ask(stack, "/v1/chat/completions", body)
    assert (got, answer["error"]["code"]) == (status, code)
    assert said in answer["error"]["message"]


def test_large_requests_pass_up_to_the_limit(stack: Stack) -> None:
    body = {"model": "tiny/chat:1b", "image": "x" * 5_000_000}
    status, answer, _ = ask(stack, "/v1/chat/completions", body)
    assert (status, answer["length"] > 5_000_000) == (200, True)
    status, answer, _ = ask(stack, "/v1/chat/completions", body | {"more": "x" * 2_000_000})
    assert (status, answer["error"]["code"]) == (413, "request_too_large")


def test_words_come_as_they_are_made(stack: Stack) -> None:
    connection = http.client.HTTPConnection(address(stack, 0), timeout=20)
    body = json.dumps({"model": "tiny-embed", "stream": True})
    begin = time.monotonic()
    connection.request("POST", "/v1/x", body, {"Authorization": f"Bearer {ADA}"})
    reply = connection.getresponse()
    times = [time.monotonic() for line in iter(reply.readline, b"") if line.startswith(b"data:")]
    assert len(times) == 4
    assert times[0] - begin < 0.25
    assert min(after - before for before, after in pairwise(times)) > 0.2


def test_too_many_requests_of_one_key_are_told_to_wait(stack: Stack) -> None:
    body = {"model": "tiny-embed"}
    got = [ask(stack, "/v1/embeddings", body, host="slow.test") for _ in range(3)]
    assert [status for status, _, _ in got] == [200, 200, 429]
    _, answer, headers = got[-1]
    assert answer["error"]["code"] == "rate_limit_exceeded"
    assert headers["Retry-After"] == "30"
    assert ask(stack, "/v1/embeddings", body, BOB, host="slow.test")[0] == 200
    assert ask(stack, "/v1/embeddings", body, None, host="slow.test")[0] == 401


def test_a_limited_route_gets_keys_while_nginx_runs(stack: Stack) -> None:
    body = {"model": "tiny-embed"}
    assert ask(stack, "/v1/embeddings", body, None, host="open.test")[0] == 200
    with stack.edit() as words:
        words["lxc_configs"]["301"]["routes"][-1]["auth"] = KEYS
    stack.ok("apply", "--yes")
    got = [ask(stack, "/v1/embeddings", body, key, host="open.test") for key in (None, ADA)]
    assert [status for status, _, _ in got] == [401, 200]


def test_the_log_knows_names_and_no_values(stack: Stack) -> None:
    ask(stack, "/v1/chat/completions", {"model": 'odd"\n'}, BOB)
    ask(stack, "/v1/embeddings", {"model": "tiny-embed"})
    lines = stack.inside("web", "tail -n 2 /var/log/nginx/llm.log").splitlines()
    odd, good = map(json.loads, lines)
    assert (odd["key"], odd["model"], odd["status"]) == ("bob", 'odd"\n', "404")
    assert (good["key"], good["model"], good["status"]) == ("ada", "tiny-embed", "200")
    assert good["engine"] == f"{address(stack, 2)}:9000"
    shown = stack.inside("web", "cat /var/log/nginx/*.log; nginx -t 2>&1")
    assert not any(value in shown for value in SECRETS.values())


def test_a_server_that_is_down_is_told_as_such(stack: Stack) -> None:
    stack.inside("embed", "systemctl stop tiny")
    status, answer, _ = ask(stack, "/v1/embeddings", {"model": "tiny-embed"})
    assert (status, answer["error"]["type"]) == (502, "server_error")
    stack.inside("embed", "systemd-run --quiet --unit=tiny python3 /root/server.py embed 9000")


def test_a_servers_port_is_open_for_its_users_only(stack: Stack) -> None:
    chat, embed = f"{address(stack, 1)}/8000", f"{address(stack, 2)}/9000"

    def opens(guest: str, place: str) -> bool:
        script = f"timeout 3 bash -c ': < /dev/tcp/{place}' 2>/dev/null && echo yes || echo no"
        return stack.inside(guest, script) == "yes"

    assert [opens(one, chat) for one in ("web", "chat", "user", "other", "embed")] == [
        *(True, True),
        *(False, False, False),
    ]
    assert [opens(one, embed) for one in ("web", "embed", "user", "other", "chat")] == [
        *(True, True, True),
        *(False, False),
    ]


def test_nothing_is_left_to_do_and_a_users_end_closes_the_port(stack: Stack) -> None:
    assert stack.changes() == []
    with stack.edit() as words:
        words["lxc_configs"]["304"]["dependencies"] = []
    (change,) = stack.json("plan")["changes"]
    assert (change["address"], change["action"], change["impact"]) == (
        *("lxc/303", "update"),
        "live",
    )
    (field,) = change["fields"]
    assert [rule["comment"] for rule in field["after"]["rules"]] == ["phoenix: from routes"] * 2
    stack.ok("apply", "--yes")
    script = f"timeout 3 bash -c ': < /dev/tcp/{address(stack, 2)}/9000' 2>&1 || true"
    assert "refused" in stack.inside("user", script)
