"""Scripts with arguments, for a node that takes only a text."""

import shlex


def with_arguments(script: str, *arguments: str) -> str:
    """The script with `$1`, `$2`, … set, whatever characters they hold."""
    return f"set -- {shlex.join(arguments)}\n{script}"
