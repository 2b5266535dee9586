"""The pages: one file each, found by its name."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles

from phoenix_hypervisor.web.context import ASSETS
from phoenix_hypervisor.web.frame import Frame


class Page(Protocol):
    """What the file of a page holds. `PLACE` is its place in the navigation; 0: not in it."""

    PATH: str
    TITLE: str
    PLACE: int
    build: Callable[[Frame], Awaitable[None]]


def found() -> list[Page]:
    """All pages, in the navigation's order."""
    names = [one.name for one in pkgutil.iter_modules(__path__)]
    pages = [cast("Page", importlib.import_module(f"{__name__}.{name}")) for name in names]
    return sorted(pages, key=lambda page: page.PLACE)


def mount(app: FastAPI) -> None:
    """Adds all pages and the files that they need."""
    from nicegui import ui

    app.mount("/assets", StaticFiles(directory=ASSETS), name="assets")
    pages = found()
    entries = [(page.PATH, page.TITLE) for page in pages if page.PLACE]
    for page in pages:
        _add(page, entries)
    ui.run_with(
        app,
        title="Phoenix",
        favicon=ASSETS / "icon.svg",
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        binding_refresh_interval=None,
        reconnect_timeout=10.0,
    )


def _add(page: Page, entries: list[tuple[str, str]]) -> None:
    from nicegui import ui

    async def shown(request: Request) -> None:
        frame = Frame(request, page.TITLE, page.PATH, entries)
        with frame.main:
            await page.build(frame)

    ui.page(page.PATH, title=f"{page.TITLE} · Phoenix")(shown)
