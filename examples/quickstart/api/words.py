"""What texts from outside must be like, before anything is done with them."""


def storable(text: str) -> str:
    """The text as it is. PostgreSQL's text holds all of Unicode but NUL."""
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text
