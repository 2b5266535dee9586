"""Serves an ASGI application on the socket that systemd holds; runs in a guest, not in Phoenix.

`python_api_service` copies this file into the guest, where the application's own Python (with the
application's uvicorn) runs it. It differs from the uvicorn command in two things that a restart
without lost requests needs:

- systemd is told when the application is ready (sd_notify(3)), so that `systemctl restart` only
  succeeds with an application that came up;
- at the end it stops accepting first, and reads what was accepted already before it closes idle
  connections. New connections wait in the socket, which stays with systemd.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn

SYSTEMD_FIRST_FD = 3  # sd_listen_fds(3)
READ_ON_S = 0.3


class Server(uvicorn.Server):
    """Uvicorn's server with the two differences; `ready` is called once it serves."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts the application and tells so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops accepting, reads on for a moment, then ends as uvicorn does."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(READ_ON_S)
        await super().shutdown(sockets=sockets)


def supervise(workers: int, serve: Callable[[Callable[[], object]], None]) -> int:
    """Runs `serve` in several processes; returns the exit status.

    Where one of them ends, all end, and systemd starts the whole again: a worker that dies is a
    fault that should be seen. At the end systemd signals every process itself.
    """
    reader, writer = os.pipe()
    children = set()
    for _ in range(workers):
        child = os.fork()
        if child == 0:
            serve(lambda: os.write(writer, b"."))
            return 0
        children.add(child)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def wait_ready() -> None:
        for _ in range(workers):
            os.read(reader, 1)
        notify_ready()

    threading.Thread(target=wait_ready, daemon=True).start()
    worst = 0
    while children:
        child, status = os.wait()
        children.discard(child)
        code = os.waitstatus_to_exitcode(status)
        worst = worst or (0 if code == -signal.SIGTERM else abs(code))
        for other in children:
            os.kill(other, signal.SIGTERM)
    return worst


def notify_ready() -> None:
    """Tells systemd, if it has started this process."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + path[1:] if path.startswith("@") else path)
            channel.sendall(b"READY=1")


def main() -> None:
    """Reads the arguments of the unit's ExecStart and serves until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app", help="module:attribute")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--graceful", type=int, default=30, help="seconds for open requests")
    parser.add_argument("--proxies", default="127.0.0.1", help="whose X-Forwarded-* is believed")
    parser.add_argument("--factory", action="store_true")
    given = parser.parse_args()
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - nothing else of pathlib is needed here
    config = uvicorn.Config(
        given.app,
        factory=given.factory,
        timeout_graceful_shutdown=given.graceful,
        proxy_headers=True,
        forwarded_allow_ips=given.proxies,
        server_header=False,
        access_log=False,
    )
    listening = socket.socket(fileno=SYSTEMD_FIRST_FD)

    def serve(ready: Callable[[], object]) -> None:
        server = Server(config, ready)
        server.run(sockets=[listening])
        if not server.started:
            sys.exit(3)

    if given.workers > 1:
        sys.exit(supervise(given.workers, serve))
    serve(notify_ready)


if __name__ == "__main__":
    main()
