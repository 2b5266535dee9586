"""The kind of error that may only follow from another one."""


class Lacking(ValueError):
    """Something is missing in an object, raised where pydantic expects a `ValueError`.

    It is not told where a word of that object was refused: that word may be what is missed.
    """
