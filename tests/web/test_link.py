"""The printed link in a real Chromium: its cookie stays with it."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import expect, sync_playwright
from tests.support.browser import launch
from tests.web.serving import Serving


class Lure(BaseHTTPRequestHandler):
    """Another user's server on this machine; it keeps the cookies that it is sent."""

    came: list[str | None]

    def do_GET(self) -> None:
        self.came.append(self.headers.get("Cookie"))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<img src=/more>")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def lure() -> Iterator[ThreadingHTTPServer]:
    Lure.came = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Lure) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_its_cookie_goes_to_no_other_port_of_this_machine(
    shown: Serving, lure: ThreadingHTTPServer
) -> None:
    with sync_playwright() as play:
        browser = launch(play)
        page = browser.new_page()
        page.goto(shown.link)
        expect(page.get_by_role("button", name="Log out")).to_be_visible(timeout=15_000)
        assert page.url.startswith(shown.link.partition("/enter")[0])
        for host in ("127.0.0.1", "localhost"):
            page.goto(f"http://{host}:{lure.server_port}/")
            page.wait_for_load_state("networkidle")
        page.goto(shown.link.partition("/enter")[0])
        expect(page.get_by_role("button", name="Log out")).to_be_visible(timeout=15_000)
        browser.close()
    assert len(Lure.came) >= 4
    assert set(Lure.came) == {None}
