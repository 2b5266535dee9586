"""The inside of one guest: runs its features with pyinfra in a worker process, over a shell."""

from .fingerprint import fingerprints, overall
from .job import ConfigureResult
from .runner import Configurator

__all__ = ["Configurator", "ConfigureResult", "fingerprints", "overall"]
