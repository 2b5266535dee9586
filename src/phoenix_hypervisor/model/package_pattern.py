"""Names of packages, or regular expressions of them, as unattended-upgrade reads them."""

import re


def package_pattern(text: str) -> str:
    """Raises `ValueError` where it is no regular expression: no update would install any more."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"`{text}` is no regular expression: {error}") from None
    return text
