"""The dashboard over a real container: made from the page, seen on all pages, restarted there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from tests.e2e.stack import Stack, write
from tests.support import lab
from tests.support.browser import is_wrong, launch
from tests.web.serving import PASSWORD, phoenix, serving

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

CHECK = "systemd is up"
PAGES = {
    "/": ("healthy", "Error budgets, 30 days", "phoenix watch is at work", "1 healthy"),
    "/plan": ("No changes",),
    "/guest/lxc/101": (CHECK, "Latency, last hour", "web.example.org/", "What happened", "p95"),
    "/topology": ("The same in words", "web.example.org/"),
    "/llm": ("Model servers",),
    "/slo": ("99.5 % available", "95 of 100 answers in 2000 ms"),
    "/history": ("dashboard: restart by link", "dashboard: apply by link"),
    "/history?run=last": ("it is stopped, and started again", "Events"),
}


@pytest.fixture
def stack(tmp_path: Path, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("l")
    check = {"command": {"name": CHECK, "command": "systemctl is-system-running --wait"}}
    guest = {
        "template": "debian-13-standard",
        "name": "web",
        "checks": [check],
        "routes": [{"host": "web.example.org", "path": "/", "port": 8080}],
        "slo": {"availability": 99.5, "latency_p95_ms": 2000},
    }
    made = write(tmp_path / "folder", corner, {"101": guest})
    try:
        yield made
    finally:
        lab.clear(corner.name)


def test_a_real_guest_is_made_restarted_and_seen_on_all_pages(stack: Stack) -> None:
    phoenix(stack.folder, "serve", "--set-password", stdin=PASSWORD + "\n")
    with serving(stack.folder) as shown, sync_playwright() as play:
        browser = launch(play)
        page = browser.new_page(base_url=shown.url)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda it: wrong.append(it.text) if is_wrong(it, "error") else None)
        page.goto(shown.enter)
        page.goto("/plan")
        page.get_by_role("button", name="Apply this plan").click(timeout=30_000)
        expect(page.locator(".steps")).to_contain_text("lxc/101", timeout=60_000)
        expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=240_000)

        # Nobody watches yet: what is asked from here is shown.
        page.goto("/guest/lxc/101")
        expect(page.locator("main").get_by_text("healthy").first).to_be_visible(timeout=30_000)
        page.get_by_role("button", name="Show the log live").click()
        expect(page.locator(".logs pre")).to_contain_text("systemd", timeout=30_000)
        page.get_by_role("button", name="Restart…").click()
        page.get_by_role("button", name="Yes, restart it").click()
        expect(page.get_by_text("restart: ok")).to_be_visible(timeout=120_000)

        _watch_and_see(stack, page)
        assert wrong == []
        browser.close()
    assert stack.changes() == []


def _watch_and_see(stack: Stack, page: Page) -> None:
    """All pages with what `phoenix watch` measures just now."""
    watching = stack.start("watch")
    try:
        for path, words in PAGES.items():
            page.goto(path)
            for word in words:
                expect(page.locator("main")).to_contain_text(word, timeout=30_000)
    finally:
        watching.terminate()
        watching.wait(30)
