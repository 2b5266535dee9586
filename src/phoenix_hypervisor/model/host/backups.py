"""Backup jobs and what they keep."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backups:
    """Backups."""
