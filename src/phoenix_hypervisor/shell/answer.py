"""What a command answered, as bytes: files and outputs are not always text."""

from dataclasses import dataclass

from phoenix_hypervisor.model.check import Said


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's exit status (128 + n where signal n ended it) and its two outputs."""

    status: int
    out: bytes
    err: bytes

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.status == 0

    def said(self) -> Said:
        """The same as text; bytes that are not UTF-8 become U+FFFD."""
        return Said(self.status, text(self.out), text(self.err))

    def words(self, limit: int = 2000) -> str:
        """The last things it wrote, standard error last: for messages to people."""
        parts = (text(tail(self.out, limit)).strip(), text(tail(self.err, limit)).strip())
        return "\n".join(part for part in parts if part)


def text(data: bytes) -> str:
    """Bytes of a command as text."""
    return data.decode("utf-8", "replace")


def tail(data: bytes, limit: int) -> bytes:
    """The last whole lines that fit into `limit` bytes; a longer last line is cut in front."""
    if len(data) <= limit:
        return data
    cut = data[-limit:]
    line_end = cut.find(b"\n", 0, -1)
    return cut if line_end < 0 else cut[line_end + 1 :]
