"""A relay before a unix socket, which can be cut: connections break, and new ones are refused."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

_BLOCK = 1 << 16


class Relay:
    """Passes on bytes between `path` and `target`; a context manager."""

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self._target = target
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listening: socket.socket | None = None

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut()
        self.path.unlink(missing_ok=True)

    def cut(self) -> None:
        """Breaks all connections; from now on new ones are refused."""
        with self._lock:
            listening, self._listening = self._listening, None
            open_, self._open = self._open, set()
        for one in [listening, *open_]:
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def mend(self) -> None:
        """Takes connections again."""
        self.path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.path))
        listening.listen(64)
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                ours, _ = listening.accept()
            except OSError:
                return
            theirs = socket.socket(socket.AF_UNIX)
            try:
                theirs.connect(self._target)
            except OSError:
                ours.close()
                continue
            with self._lock:
                self._open |= {ours, theirs}
            threading.Thread(target=self._serve, args=(ours, theirs), daemon=True).start()

    def _serve(self, ours: socket.socket, theirs: socket.socket) -> None:
        back = threading.Thread(target=_pass_on, args=(theirs, ours), daemon=True)
        back.start()
        _pass_on(ours, theirs)
        back.join()
        with self._lock:
            self._open -= {ours, theirs}
        ours.close()
        theirs.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_BLOCK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
