"""Folders of the host that several guests mount."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Volumes:
    """Shared folders."""
