#!/usr/bin/python3
"""Stands in for pvesh on the tests' node: hands its requests to the API that /etc/phx-api names.

As the real one, it waits for a task, writes the task's log on standard error and ends well even
where the task did not.
"""

# ruff: noqa: T201, S323 - a program of its own; the API beside it signs its certificate itself

import json
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

METHODS = {"get": "GET", "create": "POST", "set": "PUT", "delete": "DELETE"}
API = json.loads(Path("/etc/phx-api").read_text())
TRUST = ssl._create_unverified_context()


def call(method: str, path: str, params: Any, headers: dict[str, str]) -> Any:
    form = urllib.parse.urlencode(params)
    url = API["url"] + "/api2/json" + urllib.parse.quote(path)
    if method in ("GET", "DELETE") and form:
        url, form = f"{url}?{form}", ""
    body = form.encode() if method in ("POST", "PUT") else None
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request, context=TRUST, timeout=120) as reply:
        return json.load(reply).get("data")


def log_in() -> dict[str, str]:
    user = {"username": API["user"], "password": API["password"]}
    ticket = call("POST", "/access/ticket", user, {})
    return {
        "Cookie": f"PVEAuthCookie={ticket['ticket']}",
        "CSRFPreventionToken": ticket["CSRFPreventionToken"],
    }


def wait(upid: str, headers: dict[str, str]) -> None:
    task = f"/nodes/{upid.split(':')[1]}/tasks/{upid}"
    while call("GET", f"{task}/status", {}, headers)["status"] != "stopped":
        time.sleep(0.1)
    for line in call("GET", f"{task}/log", {"limit": 0}, headers):
        print(line["t"], file=sys.stderr)


def options(words: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    words = iter(words)
    for word in words:
        key, equals, value = word.removeprefix("--").partition("=")
        found.append((key, value if equals else next(words)))
    return [(key, value) for key, value in found if key != "output-format"]


def main(command: str, path: str, *words: str) -> int:
    try:
        headers = log_in()
        data = call(METHODS[command], path, options(words), headers)
        if isinstance(data, str) and data.startswith("UPID:"):
            wait(data, headers)
    except urllib.error.HTTPError as error:
        body = error.read()
        said = json.loads(body) if body.startswith(b"{") else {}
        message = (said.get("message") or error.reason).strip()
        if not said.get("errors"):
            print(message, file=sys.stderr)
            return 2
        print(f"{error.code} {message}", file=sys.stderr)
        for field, why in said["errors"].items():
            print(f"{field}: {why}", file=sys.stderr)
        print(f"pvesh {command} <api_path> [OPTIONS] [FORMAT_OPTIONS]", file=sys.stderr)
        return 255
    if data is not None:
        print(json.dumps(data))
    return 0


sys.exit(main(*sys.argv[1:]))
