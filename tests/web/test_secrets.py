"""No secret is sent, also where one stands in what is told: each of these would be an oversight."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.web import inside
from tests.web.serving import PASSWORD, SECRET, Serving, phoenix, serving, write
from tests.web.wire import Page, ask, cookie_of, opened

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.secret import HIDDEN
from phoenix_hypervisor.model.watching import Answer, Happening
from phoenix_hypervisor.watch.store import Store

CHECK = "is it there"
SAYS = f"the password is {SECRET}."
READS = ["status", "gpus", "plan", "history", "history/last", "graph", "slo", "jobs"]
PAGES = ["/", "/plan", "/topology", "/llm", "/history", "/history?run=last", "/slo"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Applied and watched; its guests' journals tell the secret."""
    made = tmp_path_factory.mktemp("secret") / "folder"
    write(made)
    path = made / "phoenix_lxc_configs.json"
    words = json.loads(path.read_text())
    check = {"name": CHECK, "address": "127.0.0.1", "port": 9, "every_s": 3600}
    words["lxc_configs"]["102"]["checks"] = [{"tcp": check}]
    path.write_text(json.dumps(words))
    phoenix(made, "serve", "--set-password", stdin=PASSWORD + "\n")
    phoenix(made, "apply", "--yes")
    store = Store.create(made)
    now = time.time()
    answer = Answer(lxc(102), CHECK, "tcp", now, "down", SAYS)
    store.write([answer], [], [Happening(now, "down", lxc(101), SAYS)])
    store.close()
    journal = made.parent / "bin" / "journalctl"
    journal.parent.mkdir()
    journal.write_text(f"#!/bin/sh\necho '{SAYS}'\n")
    journal.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def shown(folder: Path) -> Iterator[Serving]:
    path = f"{folder.parent / 'bin'}:{os.environ['PATH']}"
    with serving(folder, program=[sys.executable, inside.__file__], PATH=path) as one:
        yield one


@pytest.fixture(scope="module")
def known(person: httpx.Client) -> httpx.Client:
    """One who has seen a page: what is secret is known from then on."""
    person.get("/api/v1/plan")
    return person


def hidden(text: str) -> None:
    assert HIDDEN in text
    assert SECRET not in text


def test_a_log_is_told_without_it(known: httpx.Client) -> None:
    lines = known.get("/api/v1/guests/lxc/101/logs").json()["lines"]
    assert lines == [f"the password is {HIDDEN}."]


def test_what_happened_is_told_without_it(known: httpx.Client) -> None:
    hidden(known.get("/api/v1/happenings").text)


def test_a_check_s_answer_is_told_without_it(known: httpx.Client) -> None:
    hidden(known.get("/api/v1/status").text)


@pytest.mark.parametrize("page", ["/", "/guest/lxc/101", "/guest/lxc/102"])
def test_nor_do_pages_show_it(known: httpx.Client, page: str) -> None:
    hidden(known.get(page).text)


def test_an_error_is_told_without_it(known: httpx.Client) -> None:
    answer = known.get(f"/api/v1/history/{SECRET}")
    assert answer.status_code == 404
    hidden(answer.text)


def test_a_refusal_is_told_without_it(known: httpx.Client) -> None:
    answer = known.post("/api/v1/check", json={"guests": [SECRET]})
    assert answer.status_code == 400
    hidden(answer.text)


@pytest.mark.parametrize("path", [*(f"/api/v1/{one}" for one in READS), *PAGES])
def test_no_secret_is_sent(known: httpx.Client, path: str) -> None:
    answer = known.get(path)
    assert answer.status_code == 200
    assert PASSWORD not in answer.text
    assert SECRET not in answer.text


def test_half_a_request_is_not_waited_for(shown: Serving) -> None:
    with socket.create_connection(("127.0.0.1", shown.port), 20) as wire:
        wire.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n")
        assert wire.recv(100) == b""


def test_a_page_s_websocket_stays_open(shown: Serving, known: httpx.Client) -> None:
    page = Page.of(known, "/")
    with opened(shown, cookie_of(shown, known), page) as wire:
        time.sleep(1.5)  # longer than a head may take
        assert ask(wire, ["ack", {"client_id": page.client_id, "next_message_id": 0}]) == []
