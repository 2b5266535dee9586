"""Raw lines of LXC's configuration as keys and values."""

import re

_LINE = re.compile(r"\s*(lxc(?:\.[a-z0-9_]+)+)\s*[=:]\s*(.*?)\s*")


def read_line(line: str) -> tuple[str, str] | None:
    """Key and value of `lxc.key=value` or `lxc.key:value`; None where it is neither."""
    match = _LINE.fullmatch(line)
    return (match[1], match[2]) if match else None
