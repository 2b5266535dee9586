#!/usr/bin/env python3
"""Records `make up` twice in a terminal of its own and draws the picture that the README shows.

Nothing is staged: the commands run in a pseudo terminal, what they write is replayed until only
what a person would see at the end is left, and the times are measured around them. Only pip's
warnings are left out: they tell of the machine, not of Phoenix. Run `make down` first, for a
first `make up` that makes everything.

    make down; .venv/bin/python docs/record.py [FOLDER OF A FRESH CLONE]
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "make-up.svg"
_COMMAND = ("make", "--no-print-directory", "up")
_COLUMNS, _ROWS = 110, 50
_PIECE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\n|[^\x1b\r\n]+")
_OF_PIP = re.compile(r"(\x1b\[[0-9;]*m)*WARNING: ")
_FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main(folder: Path) -> int:
    """Records both runs and writes the picture. Returns the exit status."""
    shown: list[str] = []
    for _ in range(2):
        begin = time.monotonic()
        status, written = run(folder)
        took = time.monotonic() - begin
        prompt = "\x1b[1;32m$\x1b[0m \x1b[1mmake up\x1b[0m"
        shown += [prompt, *seen(written), f"\x1b[2m# exit {status} after {took:.1f} s\x1b[0m", ""]
        if status:
            break
    PICTURE.write_text(drawn(shown), encoding="utf-8")
    sys.stdout.write(f"\nwrote {PICTURE.relative_to(ROOT)}\n")
    return status


def run(folder: Path) -> tuple[int, str]:
    """Runs the command in a terminal; its exit status and all that it wrote, also shown here."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    environ = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    environ |= {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        _COMMAND, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b"".join(_blocks(ours))
    os.close(ours)
    return process.wait(), written.decode(errors="replace")


def _blocks(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            block = os.read(terminal, 1 << 16)
        except OSError:  # EIO: the last process that had the terminal has left it
            return
        if not block:
            return
        sys.stdout.buffer.write(block)
        sys.stdout.flush()
        yield block


def seen(written: str) -> list[str]:
    """The lines that stand there at the end, with their colours.

    As much of a terminal as Rich's live display needs: cursor up, erase line, newline, colours.
    """
    rows = [""]
    at = 0
    for piece in _PIECE.findall(written):
        if piece == "\n":
            at += 1
            rows += [""] * (at + 1 - len(rows))
        elif not piece.startswith("\x1b") or piece.endswith("m"):
            rows[at] += piece
        elif piece.endswith("A"):
            at = max(at - int(piece[2:-1] or 1), 0)
        elif piece == "\x1b[2K":
            rows[at] = ""
    return [row.rstrip() for row in rows if row.strip() and not _OF_PIP.match(row)]


def drawn(lines: list[str]) -> str:
    """An SVG of a terminal with these lines, which fetches nothing from anywhere."""
    console = Console(
        record=True, width=_COLUMNS, file=io.StringIO(), color_system="truecolor", highlight=False
    )
    for line in lines:
        console.print(Text.from_ansi(line))
    picture = console.export_svg(title="make up", theme=MONOKAI, unique_id="make-up")
    return _FONT_FROM_ELSEWHERE.sub("", picture)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))
