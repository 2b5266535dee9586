"""Runs the shell blocks of a lesson of the tutorial, and compares what they print.

A comment before a block says how. `<!-- run: no -->` leaves it out, `<!-- run: incus -->` does so
on the simulated node, `<!-- run: exit 1 -->` expects that status; a comma joins them. Every line of
a `text` block right after it must stand in the output, in that order; `…` is any text.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:^<!-- run: (?P<how>[^\n]*) -->\n)?^```sh\n(?P<script>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One shell block: what is run, where, how it must end, what it must print."""

    script: str
    on: frozenset[str]
    status: int
    lines: tuple[str, ...]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks that can be run somewhere."""
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        words = [word.strip() for word in (match["how"] or "").split(",") if word.strip()]
        if "no" in words:
            continue
        known = [word for word in words if word == "incus" or re.fullmatch(r"exit \d+", word)]
        assert known == words, f"{page.name}: run: {match['how']}"
        status = next((int(word[5:]) for word in words if word != "incus"), 0)
        on = {"incus"} if "incus" in words else {"incus", "sim"}
        lines = (match["output"] or "").splitlines()
        yield Block(match["script"], frozenset(on), status, tuple(filter(None, lines)))


def perform(block: Block, folder: Path, environ: Mapping[str, str], limit_s: float) -> str:
    """Runs one block in a folder; what it printed. Fails where it ends or prints otherwise."""
    done = subprocess.run(
        ["bash", "-u", "-c", block.script],
        cwd=folder,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
        check=False,
    )
    told = f"$ {block.script}{done.stdout}"
    # A shell with one command becomes that, and then it is the signal that is told here.
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    assert status == block.status, f"exit {status}, not {block.status}\n{told}"
    pattern = ".*".join(map(_pattern, block.lines))
    assert re.search(pattern, done.stdout, re.DOTALL), f"{block.lines}\nis not in\n{told}"
    return done.stdout


def _pattern(line: str) -> str:
    """Tables are as wide as what they hold, so a gap may have any width."""
    parts = (r"\s+".join(map(re.escape, part.split())) for part in line.split("…"))
    return r"[^\n]*".join(parts)
