"""What is kept of an output, so that a command that never stops talking can't fill the memory."""


class Kept:
    """All of an output or, of a long one, its beginning and its end."""

    def __init__(self, limit: int | None) -> None:
        """`limit` in bytes; None: all is kept."""
        self._half = None if limit is None else limit // 2
        self._first = bytearray()
        self._last = bytearray()
        self._left_out = 0

    def add(self, data: bytes) -> None:
        """Takes what came next."""
        if self._half is None:
            self._first += data
            return
        room = self._half - len(self._first)
        self._first += data[:room]
        self._last += data[room:]
        # Cut only when it has grown to twice its size: cutting copies all of it.
        if len(self._last) > 2 * self._half:
            self._cut(self._half)

    def value(self) -> bytes:
        """What was kept; a line between the halves says how much is missing."""
        if self._half is not None:
            self._cut(self._half)
        if not self._left_out:
            return bytes(self._first + self._last)
        gap = b"\n[%d bytes left out]\n" % self._left_out
        return bytes(self._first) + gap + bytes(self._last)

    def _cut(self, half: int) -> None:
        surplus = max(0, len(self._last) - half)
        del self._last[:surplus]
        self._left_out += surplus
