"""Ports that software of a guest takes: no two may have the same."""

from dataclasses import dataclass
from typing import Literal

ANYWHERE = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104 - what is compared, not bound


@dataclass(frozen=True, slots=True)
class Listen:
    """A port that is listened on. `at` leads from the feature's options to the word that says so.

    `what` names who takes it, where the feature's name isn't enough. `address` is the only one
    that it listens on; None: all. `users_only`: a generated firewall lets in those guests alone
    that depend on its guest or whose features connect to it, proxies among them.
    """

    port: int
    at: tuple[str | int, ...] = ()
    what: str = ""
    address: str | None = None
    protocol: Literal["tcp", "udp"] = "tcp"
    users_only: bool = False

    def collides(self, other: "Listen") -> bool:
        """Whether the two can't listen at the same time."""
        if (self.port, self.protocol) != (other.port, other.protocol):
            return False
        ours, theirs = self.address or "", other.address or ""
        return ours == theirs or bool({ours, theirs} & ANYWHERE)
