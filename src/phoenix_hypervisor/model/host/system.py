"""Repositories, updates, microcode, the CPU's governor."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class System:
    """The host's own software."""
