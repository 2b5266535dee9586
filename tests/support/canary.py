"""Secrets that are easy to find again, however somebody has written them, and who looks for them.

The finder shares nothing with what hides secrets: each canary holds a random word in every line,
which no quoting changes; Base64 and hexadecimal of that word are looked for as well.
"""

import base64
import math
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Canary:
    """A secret named `name`; `{}` in the pattern is where its random word stands."""

    name: str
    pattern: str
    word: str = field(default_factory=lambda: f"cNry{secrets.token_hex(10)}")

    @property
    def value(self) -> str:
        return self.pattern.replace("{}", self.word)

    def forms(self) -> set[bytes]:
        """What to look for."""
        data = self.word.encode()
        found = {data, data.hex().encode(), data.hex().upper().encode()}
        for shift in range(3):
            code = base64.b64encode(bytes(shift) + data)
            found.add(code[math.ceil(shift * 8 / 6) : (shift + len(data)) * 8 // 6])
        return found


def seen(canaries: list[Canary], data: bytes | str) -> list[str]:
    """Names of the canaries that are in the data, each with the text around it."""
    data = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    joined = data.replace(b"\n", b"")  # Base64 is cut into lines
    found = []
    for canary in canaries:
        for form in canary.forms():
            for text in (data, joined):
                at = text.find(form)
                if at >= 0:
                    around = text[max(0, at - 60) : at + len(form) + 60]
                    found.append(f"{canary.name}: {around!r}")
                    break
    return found


class Watch:
    """Looks again and again at the arguments and environments of all processes of this machine.

    Those of containers are among them; there the environment is left out, since a script gets its
    secrets in it. `own` are processes whose environment was given the secrets on purpose.
    """

    def __init__(self, canaries: list[Canary]) -> None:
        self._canaries = canaries
        self.own: set[int] = {os.getpid()}
        self._found: set[tuple[int, str, str]] = set()
        self.seen: set[bytes] = set()
        self.rounds = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        self._here = Path("/proc/self/ns/pid").readlink()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def found(self) -> list[str]:
        """What was seen and should not be there."""
        return sorted(
            f"process {pid}, {what}: {one}"
            for pid, what, one in self._found
            if what == "arguments" or pid not in self.own
        )

    def _look_on(self) -> None:
        while not self._over.wait(0.003):
            self.rounds += 1
            for pid, what, data in self._processes():
                if data not in self.seen:
                    self.seen.add(data)
                    told = seen(self._canaries, data)
                    self._found |= {(pid, what, one) for one in told}

    def _is_fork(self, pid: int) -> bool:
        """Whether it is still a copy of one of our own, about to become another program."""
        stat = Path(f"/proc/{pid}/stat").read_text()
        parent = int(stat.rpartition(")")[2].split()[1])
        if parent not in self.own:
            return False
        mine, theirs = (Path(f"/proc/{one}/cmdline").read_bytes() for one in (pid, parent))
        return mine == theirs

    def _processes(self) -> Iterator[tuple[int, str, bytes]]:
        for entry in os.listdir("/proc"):  # noqa: PTH208 - a hundred times a second
            if not entry.isdigit():
                continue
            pid = int(entry)
            try:
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
                yield pid, "arguments", arguments
                here = Path(f"/proc/{pid}/ns/pid").readlink() == self._here
                if here and pid not in self.own and not self._is_fork(pid):
                    environment = Path(f"/proc/{pid}/environ").read_bytes()
                    if not self._is_fork(pid):
                        yield pid, f"environment of {arguments!r}", environment
            except OSError:
                continue  # it is gone
