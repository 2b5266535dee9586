"""A page's websocket by hand: what a browser sends over it, and what an attacker would."""

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from tests.web.serving import Serving
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

WEBSOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


@dataclass
class Page:
    """A page as it was sent: its name, and what can be pressed on it."""

    client_id: str
    elements: dict[str, Any]

    @classmethod
    def of(cls, client: httpx.Client, path: str) -> "Page":
        text = client.get(path).text
        ident = re.search(r"'client_id': '([0-9a-f-]{36})'", text)
        told = re.search(r"parseElements\(String\.raw`(.*?)`\)", text, re.DOTALL)
        assert ident
        assert told
        return cls(ident[1], json.loads(html.unescape(told[1])))

    def click(self, words: str) -> list[Any]:
        """The message of a click on the button with these words."""
        (inner,) = (
            int(ident)
            for ident, one in self.elements.items()
            if f">{words}<" in one.get("props", {}).get("innerHTML", "")
        )
        (button, found) = next(
            (ident, one)
            for ident, one in self.elements.items()
            if inner in one.get("children", ()) and one["tag"] == "button"
        )
        listener = next(one["listener_id"] for one in found["events"] if one["type"] == "click")
        told = {"id": int(button), "client_id": self.client_id, "listener_id": listener}
        return ["event", {**told, "args": ["{}"]}]


def cookie_of(shown: Serving, client: httpx.Client) -> str:
    return f"{shown.cookie}={client.cookies[shown.cookie]}"


@contextmanager
def opened(
    shown: Serving, cookie: str, page: Page | None, *, handshake: bool = True
) -> Iterator[ClientConnection]:
    """A websocket of a page, as NiceGUI's script opens it."""
    query = f"&client_id={page.client_id if page else 'none'}&next_message_id=0"
    if handshake:
        query += "&implicit_handshake=true&tab_id=t1&document_id=d1"
    with connect(
        f"ws://127.0.0.1:{shown.port}{WEBSOCKET}{query}",
        origin=Origin(shown.url),
        additional_headers={"Cookie": cookie},
        proxy=None,
    ) as wire:
        assert str(wire.recv(10)).startswith("0{")  # Engine.IO's greeting
        wire.send("40")
        assert str(wire.recv(10)).startswith("40{")  # Socket.IO's
        yield wire


def tell(wire: ClientConnection, message: list[Any]) -> None:
    wire.send("42" + json.dumps(message))


def ask(wire: ClientConnection, message: list[Any]) -> Any:
    """Sends a message that is answered; the answer."""
    wire.send("421" + json.dumps(message))
    while True:
        told = str(wire.recv(10))
        if told.startswith("431"):
            return json.loads(told[3:])


def upgrade(shown: Serving, path: str = WEBSOCKET, **headers: str) -> int:
    """The status that a websocket is answered with: 101 where it is opened."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    origin = told.pop("Origin", None)
    try:
        with connect(
            f"ws://127.0.0.1:{shown.port}{path}",
            origin=Origin(origin) if origin else None,
            additional_headers=told,
            proxy=None,
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code
