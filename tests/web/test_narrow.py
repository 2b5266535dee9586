"""The pages' style in a real Chromium, on a screen as narrow as a telephone's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from tests.support.browser import launch

from phoenix_hypervisor import web
from phoenix_hypervisor.watch.store import Point
from phoenix_hypervisor.web import parts, plots
from phoenix_hypervisor.web.frame import panel
from phoenix_hypervisor.web.markup import Html, el, table

STYLE = (Path(web.__file__).parent / "assets" / "phoenix.css").read_text()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as play:
        browser = launch(play)
        yield browser.new_page()
        browser.close()


def show(page: Page, content: Html, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.set_content(f"<style>{STYLE}</style><div id='main'>{content}</div>")


def width_of(page: Page, what: str) -> float:
    found = page.locator(what).first.bounding_box()
    assert found is not None
    return found["width"]


def test_what_happened_can_be_read(page: Page) -> None:
    line = (0.0, "down: its checks fail", "page budget lxc/7951 of this guest")
    show(page, panel("What happened", parts.log([line])), 390)
    assert width_of(page, "ul.log li span:nth-child(2)") > 200


@pytest.mark.parametrize("width", [390, 1280])
def test_a_plot_s_letters_are_as_large_as_the_page_s(page: Page, width: int) -> None:
    points = [Point(100.0 + 5 * n, 1, 0, n, n, n) for n in range(60)]
    drawn = el("div", el("div", plots.latency(points, 400.0, 3600.0, None)), cls="plots")
    show(page, panel("Latency", drawn), width)
    size = page.locator(".plot").evaluate(
        "(one) => parseFloat(getComputedStyle(one.querySelector('.axis')).fontSize)"
        " * one.getBoundingClientRect().width / one.viewBox.baseVal.width"
    )
    assert 11 <= size <= 14
    assert width_of(page, ".plot") <= 480


def test_a_table_that_goes_on_has_a_shade(page: Page) -> None:
    rows = [["word " * 4] * 3]
    shaded = "(one) => getComputedStyle(one).backgroundImage.split('gradient').length - 1"
    show(page, panel("Guests", table(["a", "b", "c"], rows, "All")), 390)
    assert page.locator(".scroll").evaluate(shaded) == 4
