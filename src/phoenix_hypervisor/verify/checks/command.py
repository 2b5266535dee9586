"""`command`: a command inside the guest ends as expected."""

from typing import ClassVar, Literal

from pydantic import Field

from phoenix_hypervisor.model.check import Check, Place
from phoenix_hypervisor.verify.answered import No, answered, first_line, last_line

_TITLE = 50


class Command(Check):
    """Runs a command as root with the guest's `sh`."""

    kind: ClassVar[str] = "command"

    source: Literal["inside"] = Field(
        "inside", alias="from", description="A command always runs inside."
    )
    command: str = Field(min_length=1, description="What `sh` runs; it may have several lines.")
    status: int = Field(0, ge=0, le=255, description="The exit status that is right.")
    expect: str | None = Field(
        None, description="Its whole standard output, blanks at both ends left out."
    )
    contains: str | None = Field(
        None, min_length=1, description="Text that its standard output holds."
    )

    def describe(self) -> str:
        """`command systemctl is-active nginx`."""
        line = first_line(self.command)
        return f"command {line if len(line) <= _TITLE else line[:_TITLE] + '…'}"

    @answered()
    async def ask(self, place: Place) -> str:
        """Runs it."""
        said = await place.inside(self.command, self.timeout_s)
        if said.status != self.status:
            words = last_line(said.err) or last_line(said.out)
            got = f"{said.status}: {words}" if words else str(said.status)
            raise No(f"expected exit status {self.status}, got {got}")
        if self.expect is not None and said.out.strip() != self.expect.strip():
            raise No(f"expected the output {self.expect.strip()!r}, got {first_line(said.out)!r}")
        if self.contains is not None and self.contains not in said.out:
            raise No(f"expected {self.contains!r} in the output, got {first_line(said.out)!r}")
        return f"exit status {said.status}"
