"""Texts that came from elsewhere, so that they can be written down."""


def writable(text: str) -> str:
    """The text with `?` for each lone surrogate, which no UTF-8 file, pipe or terminal takes.

    Such come from bytes that were decoded by `surrogateescape`, and from escapes in JSON.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
