"""What all pages have: head, navigation, the way to the content, and parts that stay current."""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import Request
from nicegui import ui
from nicegui.events import GenericEventArguments

from phoenix_hypervisor.model.errors import ConfigError, PhoenixError
from phoenix_hypervisor.web import context
from phoenix_hypervisor.web.jobs import Job
from phoenix_hypervisor.web.markup import Html, el, join, link
from phoenix_hypervisor.web.security.caller import caller

Render = Callable[[], Awaitable[Html]]
_SOON_S = 0.3
_TEXT = re.compile(r"(?<=>)[^<>]+")
_HEAD = (
    '<link rel="stylesheet" href="/assets/phoenix.css"><script src="/assets/phoenix.js"></script>'
)


class Frame:
    """One page that a person has open; `main` is where its content goes."""

    def __init__(
        self, request: Request, title: str, path: str, entries: Sequence[tuple[str, str]]
    ) -> None:
        self.request = request
        self.here = context.of(request)
        self.caller = caller(request)
        self.client = ui.context.client
        ui.add_head_html(_HEAD)
        ui.html(_skip(), tag="div").classes("skip-box")
        with ui.element("header").classes("top"):
            ui.html(_navigation(path, entries), tag="div").classes("nav-box")
            with ui.element("div").classes("who"):
                role = "" if self.caller.may_act else " · reads only"
                ui.html(el("span", f"as {self.caller.who}{role}"), tag="span").classes("dim")
                ui.html(_theme(), tag="span")
                # A form of its own: it also works where scripts don't.
                ui.html(_logout(self.caller.csrf), tag="span", sanitize=False)
        # NiceGUI puts all of it into a `main` of its own.
        self.main = ui.element("div").props('id="main" tabindex="-1"')
        with self.main:
            self._title = ui.html(el("h1", title), tag="div").classes("title")

    async def live(self, render: Render, every_s: float = 5.0, cls: str = "") -> Callable[[], Any]:
        """A part that is made again all the time. Returns what makes it again at once."""
        block = ui.html("", tag="div").classes(f"live {cls}")
        turn = asyncio.Lock()
        first = asyncio.create_task(self._made(render))
        begun = [first]

        async def refresh() -> None:
            async with turn:
                if not self.lives():
                    return
                content = await (begun.pop() if begun else self._made(render))
                if content != block.content and not self.client.is_deleted:
                    block.content = content

        await asyncio.wait({first}, timeout=_SOON_S)
        # What is there soon comes with the page; else the page comes first.
        block.content = el("p", "Looking…", cls="dim", role="status")
        if first.done():
            block.content = begun.pop().result()
        else:
            ui.timer(0.01, refresh, once=True)
        ui.timer(every_s, refresh)
        return refresh

    def lives(self) -> bool:
        """Whether the session that this page was made for goes on; else the page goes."""
        if self.here.sessions.at(self.caller.session) is not None:
            return True
        if not self.client.is_deleted:
            self.client.delete()
        return False

    def button(
        self, text: str, act: Callable[[], Any], kind: str = "", *, reads: bool = False
    ) -> ui.element:
        """A button; none for those who may only read, unless it only `reads`."""
        made = ui.element("button").classes(f"button {kind}").props('type="button"')
        with made:
            ui.html(el("span", text), tag="span")
        self.on(made, "click", lambda _: act(), reads=reads)
        made.set_visibility(reads or self.caller.may_act)
        return made

    def on(
        self,
        element: ui.element,
        event: str,
        act: Callable[[Any], Any],
        *,
        reads: bool = False,
        js: str = "() => emit()",
    ) -> None:
        """Has `act` called with what `js` tells in the browser when an event comes.

        Only while the page's session goes on; of those who may only read, only what `reads`.
        """

        async def heard(event: GenericEventArguments) -> None:
            if not self.lives():
                return
            try:
                done = act(event.args)
                if asyncio.iscoroutine(done):
                    await done
            except PhoenixError as error:
                self.say(self.here.desk.hide(f"{error.message} {error.hint}".strip()), bad=True)

        if reads or self.caller.may_act:  # else there is nothing that a forged event could reach
            element.on(event, heard, js_handler=js)

    def rename(self, title: str) -> None:
        """The page's heading, and its title in the browser."""
        self._title.content = el("h1", title)
        ui.page_title(f"{title} · Phoenix")

    def later(self, work: Callable[[], Awaitable[None]], where: ui.html) -> None:
        """Does work once the page is open; what went wrong is told in its place."""

        async def doing() -> None:
            async def made() -> Html:
                await work()
                return Html(where.content)

            content = await self._made(made)
            if content != where.content:
                where.content = content

        ui.timer(0.01, doing, once=True)

    def say(self, text: str, *, bad: bool = False) -> None:
        """A short message that goes by itself."""
        ui.notify(text, type="negative" if bad else "info", position="bottom", timeout=6000)

    def follow(self, job: Job, shown: Callable[[], Any]) -> None:
        """Calls `shown` while a job tells something, some times a second at most."""

        async def following() -> None:
            while self.lives():
                changed = job.changed
                over = job.ended is not None
                await shown()
                if over:
                    return
                await changed.wait()
                await asyncio.sleep(0.15)  # not for every event: people can't read that fast

        ui.timer(0.01, following, once=True)

    async def _made(self, render: Render) -> Html:
        try:
            return _hidden(await render(), self.here.desk.hide)
        except ConfigError as error:
            hide = self.here.desk.hide
            lines = [f"{p.file}:{p.line}: {hide(p.message)}" for p in error.problems[:30]]
            return panel("The files have errors", el("ul", *(el("li", line) for line in lines)))
        except PhoenixError as error:
            hide = self.here.desk.hide
            return panel("This can't be told", el("p", hide(error.message)), hide(error.hint))
        except Exception as error:  # noqa: BLE001 - what it told before must not stay as if it held
            text = f"An unexpected {type(error).__name__}: this is a bug."
            if isinstance(error, sqlite3.Error):
                text = f"What was kept can't be read: {error}"
            return panel("This can't be told", el("p", self.here.desk.hide(text)))


def _hidden(made: Html, hide: Callable[[str], str]) -> Html:
    """Its texts without secrets, whoever wrote them: the last net; tags are left as they are."""
    return Html(_TEXT.sub(lambda text: hide(text[0]), made))


def panel(title: str, *content: object, cls: str = "", extra: object = None) -> Html:
    """A titled part of a page."""
    return el("section", el("header", el("h2", title), extra), *content, cls=f"panel {cls}".strip())


def _skip() -> Html:
    return el("a", "To the content", href="#main", cls="skip")


def _navigation(path: str, entries: Sequence[tuple[str, str]]) -> Html:
    listed = [
        el("li", el("a", title, href=to, aria_current="page" if to == path else None))
        for to, title in entries
    ]
    name = link(join(el("span", "◆", cls="mark", aria_hidden="true"), "Phoenix"), "/", cls="name")
    return join(name, el("nav", el("ul", *listed), aria_label="Pages"))


def _theme() -> Html:
    return el("button", "Dark or light", type="button", cls="button quiet", data_theme_switch=True)


def _logout(csrf: str) -> Html:
    return el(
        "form",
        el("input", type="hidden", name="csrf", value=csrf),
        el("button", "Log out", cls="button quiet"),
        method="post",
        action="/logout",
    )
