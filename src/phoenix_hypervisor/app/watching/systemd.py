"""Tells systemd that the watcher is ready, that it lives, and that it stops.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

import os
import socket
import time
from collections.abc import Mapping

_SHARE = 3
"""So many times within the watchdog's time it is told that all is well."""


class Notifier:
    """A datagram to the socket that systemd names; nothing where it names none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        own = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = environ.get("WATCHDOG_USEC", "") if own else ""
        self._every_s = int(watchdog_us) / 1e6 / _SHARE if watchdog_us.isdigit() else 0.0
        self._alive = 0.0

    def __call__(self, state: str) -> None:
        """Sends one state, such as `READY=1`."""
        if not self._address:
            return
        # A name in the abstract namespace begins with a zero byte: unix(7).
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), address)
        except OSError:
            return  # systemd is busy or being replaced: the next one comes soon

    def alive(self) -> None:
        """Feeds the watchdog, where there is one and it is time."""
        if self._every_s and time.monotonic() >= self._alive + self._every_s:
            self._alive = time.monotonic()
            self("WATCHDOG=1")
