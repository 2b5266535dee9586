"""The inside of one guest: runs its features with pyinfra in a worker process, over a shell."""

from phoenix_hypervisor.configure.fingerprint import fingerprints, overall
from phoenix_hypervisor.configure.job import ConfigureResult
from phoenix_hypervisor.configure.runner import Configurator

__all__ = ["Configurator", "ConfigureResult", "fingerprints", "overall"]
