"""Wires the stages; `session.py` is the whole pipeline."""

from phoenix_hypervisor.app.health import Health
from phoenix_hypervisor.app.opening import (
    Declared,
    declared,
    judge,
    name_of_driver,
    read,
    session,
    vocabulary,
)
from phoenix_hypervisor.app.session import Session

__all__ = [
    "Declared",
    "Health",
    "Session",
    "declared",
    "judge",
    "name_of_driver",
    "read",
    "session",
    "vocabulary",
]
