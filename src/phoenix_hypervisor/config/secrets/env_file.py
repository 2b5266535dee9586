r"""`.phoenix-secrets.env`: this machine's own secrets, lines NAME=VALUE, never in Git.

A value may stand in single quotes (nothing in it is special) or double quotes (`\n`, `\r`, `\t`,
`\"` and `\\` as in JSON).
"""

import re
from collections.abc import Mapping
from pathlib import Path

from phoenix_hypervisor.config.secrets import files
from phoenix_hypervisor.model.errors import SecretsUnreadable

FILE = ".phoenix-secrets.env"

_LINE = re.compile(r"(?:export\s+)?([^\s=]+)\s*=\s*(.*)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def read(path: Path) -> dict[str, str]:
    """The file's secrets, an empty text for `NAME=`; none where it is not there.

    Raises `SecretsUnreadable`.
    """
    if not files.private(path):
        return {}
    found = {}
    for number, line in enumerate(files.lines(path), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or not files.is_name(match[1]):
            raise SecretsUnreadable(
                f"{path}, line {number}, is not NAME=VALUE", hint="mend that line"
            )
        found[match[1]] = _unquote(match[2], path, number)
    return found


def change(path: Path, values: Mapping[str, str | None]) -> None:
    """Writes or (None) removes secrets, all at once; every other line stays. Mode 600.

    Raises `SecretsUnreadable` where the file is there but can't be trusted.
    """
    with files.alone(path.parent):
        there = files.lines(path) if files.private(path) else []
        if there and not there[-1]:
            there.pop()  # what is behind the last newline
        new = [line for line in there if _key(line) not in values]
        new += [f"{name}={_quote(value)}" for name, value in values.items() if value is not None]
        files.replace(path, "".join(f"{line}\n" for line in new).encode())


def _key(line: str) -> str | None:
    match = _LINE.fullmatch(line.strip())
    return match[1] if match and not line.lstrip().startswith("#") else None


def _unquote(text: str, path: Path, number: int) -> str:
    quote = text[:1]
    if quote not in ("'", '"'):
        return text
    if len(text) < 2 or text[-1] != quote:  # noqa: PLR2004 - the two quotes
        raise SecretsUnreadable(
            f"{path}, line {number}: a quote is not closed", hint="mend that line"
        )
    body = text[1:-1]
    if quote == "'":
        return body
    return re.sub(r"\\(.)", lambda match: _ESCAPED.get(match[1], match[1]), body)


def _quote(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./:@%+=-]+", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for letter, character in _ESCAPED.items():
        escaped = escaped.replace(character, f"\\{letter}")
    return f'"{escaped}"'
