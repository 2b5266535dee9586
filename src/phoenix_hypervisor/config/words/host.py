"""Words of the hypervisor file on the host's own software: graphics driver, Docker, Portainer.

Its storage, network, shares and names have files of their own beside this one.
"""

from typing import Annotated

from pydantic import Field

from phoenix_hypervisor.config.words.base import Later, Words
from phoenix_hypervisor.config.words.values import HostName, Text, Url
from phoenix_hypervisor.model.secret import Secret


class Docker(Words):
    """Images that Docker uses."""

    portainer_server_image: Text | None = Field(None, description="Portainer's server.")
    portainer_agent_image: Text | None = Field(None, description="Portainer's agent.")


class NvidiaDriver(Words):
    """NVIDIA's driver on the host."""

    install: Annotated[bool, Later()] = Field(False, description="Whether it is installed.")
    version: Text | None = Field(
        None, description="Its version, which containers with the feature `nvidia` get too."
    )
    runfile_url: Url | None = Field(None, description="Where its installer comes from.")
    cuda_version: Annotated[Text | None, Later()] = Field(None, description="CUDA's version.")
    install_vllm_libs: Annotated[bool, Later()] = Field(
        False, description="Whether libraries for vLLM come along."
    )


class Behavior(Words):
    """How the old scripts behaved."""

    rollback_on_failure: bool = Field(False, description="Whether a failure is undone.")
    debug_mode: bool = Field(False, description="Whether more is logged.")


class PortainerApi(Words):
    """The way into Portainer."""

    admin_user: Text | None = Field(None, description="The administrator.")
    admin_password: Secret | None = Field(None, description="The administrator's password.")
    portainer_hostname: HostName | None = Field(None, description="Portainer's host name.")
