"""Paths that guests publish: one rule for who reads the files and who writes a proxy's words."""

import re

OWN = "/.phoenix"
"""Paths of a proxy that are Phoenix's own, such as the one that tells its health."""

_PATH = re.compile(r"/[A-Za-z0-9._~%@:+,!*/-]*")


def refusal(path: str) -> str:
    """Why a path can't be published; empty where it can.

    Narrow, since it ends in a proxy's configuration, where other characters are syntax.
    """
    if not _PATH.fullmatch(path):
        return "it starts with / and holds only letters, digits and ._~%@:+,!*/-"
    if path == OWN or path.startswith(f"{OWN}/"):
        return f"{OWN} is Phoenix's own"
    return ""
