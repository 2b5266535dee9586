"""A real `phoenix watch` at work, and what it tells, line by line."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

Line = dict[str, Any]


class Watching:
    """The command in a process of its own; a context manager."""

    def __init__(
        self, argv: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[Line] = []
        self._heard = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def count(self) -> int:
        """Lines so far: what comes after them is new."""
        return len(self.lines)

    def wait(
        self,
        event: str,
        guest: str | None = None,
        *,
        after: int = 0,
        limit_s: float = 30,
        text: str = "",
    ) -> Line:
        """The first line of that kind behind the first `after` ones."""

        def found() -> Line | None:
            for line in self.lines[after:]:
                same = line["event"] == event and (guest is None or line["guest"] == guest)
                if same and text in line["message"]:
                    return line
            return None

        return self._wait(found, f"{event} {guest or ''} {text}", limit_s)

    def _wait(self, found: Callable[[], Line | None], what: str, limit_s: float) -> Line:
        end = time.monotonic() + limit_s
        with self._heard:
            while (line := found()) is None:
                left = end - time.monotonic()
                if left <= 0 or not self._heard.wait(left):
                    told = "\n".join(json.dumps(each) for each in self.lines)
                    raise AssertionError(f"not told within {limit_s} s: {what}\n{told}")
            return line

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ends it by a signal; its exit status and what it said on standard error."""
        self._process.send_signal(number)
        return self.ended()

    def ended(self, limit_s: float = 30) -> tuple[int, str]:
        """Its exit status and standard error, once it has ended."""
        status = self._process.wait(limit_s)
        self._thread.join(5)
        assert self._process.stderr is not None
        return status, self._process.stderr.read()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            with self._heard:
                self.lines.append(json.loads(text))
                self._heard.notify_all()
