"""The host's graphics cards: NVIDIA's driver, and cards kept for virtual machines."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards."""
