"""How features name what is to take another's place.

Known to the features, which write so, and to those who only look: these compare it with what it
would replace.
"""

import re

NEW = ".new"
"""Ends the name of a file or link that is written beside the one whose place it then takes."""

_ARCHIVE = re.compile(r"(?P<base>/.+)/releases/(?P<digest>[0-9a-f]{16})\.tar\.gz")


def place(path: str) -> str:
    """The path that a file takes in the end."""
    return path.removesuffix(NEW)


def release(base: str, digest: str) -> str:
    """The folder of one release of a tree; `<base>/current` is a link to the one that counts."""
    return f"{base}/releases/{digest}"


def archive(base: str, digest: str) -> str:
    """The file that a release is uploaded in: a gzipped tar."""
    return f"{release(base, digest)}.tar.gz"


def unpacked(path: str) -> tuple[str, str] | None:
    """Base and digest of the release that an archive holds; None for any other path."""
    found = _ARCHIVE.fullmatch(path)
    return (found["base"], found["digest"]) if found else None
