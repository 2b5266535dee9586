"""Imported once by the fork server, so that no worker has to: pyinfra takes half a second."""

from typing import Any

from pyinfra.api import connectors
from pyinfra.operations import apt, files, git, pip, postgres, server, systemd

from phoenix_hypervisor.configure import worker

untyped: Any = connectors
untyped.get_all_connectors()  # pyinfra imports all of them for its first inventory

__all__ = ["apt", "files", "git", "pip", "postgres", "server", "systemd", "worker"]
