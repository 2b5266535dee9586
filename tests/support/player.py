"""Plays the insides of the double's containers: with the real LXC containers of the tests' node.

The double tells it of each task and waits, so that a container whose start has ended can be worked
in, and one that was rolled back has its old files again. What can't be played is the task's error.
Processors, memory, disks' sizes and the firewall are not played: the node has them all together.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.node import Node


@dataclass(frozen=True)
class Told:
    """What the double did: a type of task or `config`, the request's values, and the guest now."""

    type: str
    vmid: int
    asked: Mapping[str, Any]
    config: Mapping[str, Any]
    status: str

    def card(self) -> Mapping[str, str]:
        """The parts of the first network card: name, bridge, ip, gw."""
        return dict(part.split("=", 1) for part in self.config["net0"].split(","))


@dataclass
class Player:
    """Keeps one node's containers in step. `played` lists what it did, as `vzstart 101`."""

    node: Node
    played: list[str] = field(default_factory=list)

    def play(self, told: Told) -> None:
        """Does the same to the real container. Raises `AssertionError` where that fails."""
        play = getattr(self, f"_on_{told.type}", None)
        if play is None:
            raise AssertionError(f"{told.type} is not played here")
        play(told)
        if told.type != "config":
            self.played.append(f"{told.type} {told.vmid}")

    def _on_vzcreate(self, told: Told) -> None:
        self.node.create(told.vmid, name=told.config["hostname"])

    def _on_vzclone(self, told: Told) -> None:
        source, snapshot = int(told.asked["vmid"]), told.asked.get("snapname", "")
        self.node.clone(source, told.vmid, snapshot=snapshot, name=told.config["hostname"])

    def _on_vzstart(self, told: Told) -> None:
        card = told.card()
        place = (card["name"], card["bridge"], card.get("gw"))
        if place != ("eth0", self.node.bridge, f"{self.node.subnet}.1"):
            raise AssertionError(f"a card of {told.vmid} that is not played here: {card}")
        ip, _, prefix = card["ip"].partition("/")
        if prefix != "24":
            raise AssertionError(f"an address of {told.vmid} that is not played here: {card}")
        self.node.place(told.vmid, ip=ip, name=told.config["hostname"])
        self.node.start(told.vmid, wait=False)

    def _on_vzshutdown(self, told: Told) -> None:
        self.node.stop(told.vmid)

    def _on_vzstop(self, told: Told) -> None:
        self.node.kill(told.vmid)

    def _on_vzreboot(self, told: Told) -> None:
        self._on_vzshutdown(told)
        self._on_vzstart(told)

    def _on_vzdestroy(self, told: Told) -> None:
        self.node.destroy(told.vmid)

    def _on_vzsnapshot(self, told: Told) -> None:
        self.node.snapshot(told.vmid, told.asked["snapname"])

    def _on_vzdelsnapshot(self, told: Told) -> None:
        self.node.forget(told.vmid, told.asked["snapname"])

    def _on_vzrollback(self, told: Told) -> None:
        self.node.kill(told.vmid)
        self.node.rollback(told.vmid, told.asked["snapname"])
        if told.status == "running":
            self._on_vzstart(told)

    def _on_config(self, told: Told) -> None:
        """Of what a running container takes at once: a new mount."""
        if told.status != "running":
            return
        new = {key: told.config[key] for key in told.asked if key in told.config}
        if any(key.startswith("net") for key in new):
            raise AssertionError(f"a card of a running container is not played here: {new}")
        for key, value in new.items():
            source, _, options = str(value).partition(",")
            if key.startswith("mp") and source.startswith("/"):
                parts = dict(part.split("=", 1) for part in options.split(","))
                self.node.plug(told.vmid, source, parts["mp"])


@contextmanager
def playing(player: Player) -> Iterator[str]:
    """Listens for what the double tells; gives the URL for `pve.started(insides=…)`."""

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                player.play(Told(**told))
            except Exception as error:  # noqa: BLE001 - whatever it was, the double's task fails
                self._answer(500, f"{type(error).__name__}: {error}")
            else:
                self._answer(200, "")

        def log_message(self, *words: object) -> None:
            """Nothing: `played` tells it."""

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Ear) as server:
        thread = threading.Thread(target=server.serve_forever, name="player", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
