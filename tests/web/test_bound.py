"""A page is its session's alone, and ends with it: what is tried over its websocket."""

import time
from typing import Any

import httpx
import pytest
from tests.web.serving import Serving
from tests.web.wire import WEBSOCKET, Page, ask, cookie_of, opened, tell, upgrade
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

GUEST = "/guest/lxc/101"
CHECK = "Check now"


def checks(shown: Serving) -> int:
    """How often somebody began a check."""
    return sum((x["action"], x["result"]) == ("check", "began") for x in shown.audit())


def begun(shown: Serving, count: int) -> None:
    """Waits until so many checks have begun and ended; not one more has."""
    until = time.monotonic() + 20
    while checks(shown) < count or ended(shown) < count:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert checks(shown) == count


def ended(shown: Serving) -> int:
    return sum((x["action"], x["result"]) == ("check", "ok") for x in shown.audit())


def all_of(wire: ClientConnection) -> None:
    while True:
        wire.recv(10)


def test_a_websocket_opens_for_a_session_of_the_own_origin(
    shown: Serving, person: httpx.Client
) -> None:
    path = f"{WEBSOCKET}&client_id={Page.of(person, '/').client_id}"
    assert upgrade(shown, path, Origin=shown.url, Cookie=cookie_of(shown, person)) == 101


def test_the_websocket_of_another_session_s_page_is_refused(
    shown: Serving, person: httpx.Client, reader: httpx.Client
) -> None:
    path = f"{WEBSOCKET}&client_id={Page.of(person, '/').client_id}"
    assert upgrade(shown, path, Origin=shown.url, Cookie=cookie_of(shown, reader)) == 403


@pytest.mark.parametrize("names", [0, 2])
def test_a_websocket_is_of_exactly_one_page(
    shown: Serving, person: httpx.Client, names: int
) -> None:
    path = WEBSOCKET + f"&client_id={Page.of(person, '/').client_id}" * names
    assert upgrade(shown, path, Origin=shown.url, Cookie=cookie_of(shown, person)) == 403


def test_a_click_acts_for_its_session_and_for_no_other(
    shown: Serving, person: httpx.Client, reader: httpx.Client
) -> None:
    theirs, own = Page.of(person, GUEST), Page.of(reader, GUEST)
    before = checks(shown)
    with (
        opened(shown, cookie_of(shown, person), theirs) as acting,
        opened(shown, cookie_of(shown, reader), own) as forging,
        opened(shown, cookie_of(shown, reader), None, handshake=False) as nameless,
    ):
        for wire in (forging, nameless):
            tell(wire, theirs.click(CHECK))
            assert ask(wire, theirs.click(CHECK)) == [False]
        tell(acting, theirs.click(CHECK))
        begun(shown, before + 1)


def test_nor_does_a_handshake_take_over_another_s_page(
    shown: Serving, person: httpx.Client, reader: httpx.Client
) -> None:
    page = Page.of(person, GUEST)
    told = {"client_id": page.client_id, "tab_id": "t", "document_id": "d"}
    with opened(shown, cookie_of(shown, reader), None, handshake=False) as wire:
        assert ask(wire, ["handshake", told]) == [False]
    with opened(shown, cookie_of(shown, person), page, handshake=False) as wire:
        assert ask(wire, ["handshake", told]) == [True]


@pytest.mark.parametrize(
    "message",
    [
        ["event", None],
        ["event", {}],
        ["event", {"client_id": ["x"], "id": 1}],
        ["event", {"client_id": 1}],
        ["log", "x"],
        ["javascript_response", {"request_id": "x"}],
        ["ack", {"client_id": "none", "next_message_id": 9}],
        ["handshake", {}],
    ],
)
def test_a_malformed_message_is_refused(
    shown: Serving, person: httpx.Client, message: list[Any]
) -> None:
    with opened(shown, cookie_of(shown, person), Page.of(person, "/")) as wire:
        assert ask(wire, message) == [False]
    assert "Traceback" not in shown.log.read_text()


def test_nobody_writes_into_the_log_through_another_s_page(
    shown: Serving, person: httpx.Client, reader: httpx.Client
) -> None:
    page = Page.of(person, "/")
    told = {"client_id": page.client_id, "level": "error", "message": "written-by-the-reader"}
    with opened(shown, cookie_of(shown, reader), Page.of(reader, "/")) as wire:
        assert ask(wire, ["log", told]) == [False]
    assert "written-by-the-reader" not in shown.log.read_text()


def test_an_acting_page_ends_with_its_session(shown: Serving, reader: httpx.Client) -> None:
    with shown.logged_in() as client:
        page, cookie = Page.of(client, GUEST), cookie_of(shown, client)
        before = checks(shown)
        told = {"client_id": page.client_id, "tab_id": "t1", "document_id": "d2"}
        with (
            opened(shown, cookie, page) as own,
            opened(shown, cookie_of(shown, reader), None, handshake=False) as lent,
        ):
            assert ask(lent, ["handshake", told]) == [False]
            client.post("/logout", data={"csrf": client.headers["X-CSRF-Token"]})
            assert ask(lent, ["handshake", told]) == [False]
            tell(lent, page.click(CHECK))
            assert ask(lent, ["handshake", told]) == [False]

            def click() -> None:
                tell(own, page.click(CHECK))
                all_of(own)

            with pytest.raises(ConnectionClosed):  # at once, or when it is heard
                click()
        assert checks(shown) == before
        path = f"{WEBSOCKET}&client_id={page.client_id}"
        assert upgrade(shown, path, Origin=shown.url, Cookie=cookie) == 403


def test_who_may_only_read_has_no_button_to_forge_a_click_on(
    shown: Serving, reader: httpx.Client, person: httpx.Client
) -> None:
    """Its own page has no listener; and that of the acting one's page means nothing there."""
    page, other = Page.of(reader, GUEST), Page.of(person, GUEST)
    with pytest.raises(KeyError, match="events"):
        page.click(CHECK)
    before = checks(shown)
    click = other.click(CHECK)
    forged = [click[0], click[1] | {"client_id": page.client_id}]
    with (
        opened(shown, cookie_of(shown, reader), page) as wire,
        opened(shown, cookie_of(shown, person), other) as acting,
    ):
        for ident in page.elements:
            tell(wire, [forged[0], forged[1] | {"id": int(ident)}])
        ask(wire, ["log", {}])  # they have been taken
        tell(acting, click)
        begun(shown, before + 1)
