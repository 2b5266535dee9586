"""Words of the hypervisor file on the host's own software: graphics driver, Docker, Portainer.

Its storage, network, shares and names have files of their own beside this one.
"""

from typing import Annotated, Literal

from pydantic import Field

from phoenix_hypervisor.config.words.base import Later, Words
from phoenix_hypervisor.config.words.values import HostName, Text, Url, choice, shaped
from phoenix_hypervisor.model.secret import Secret

Modules = Literal["open", "proprietary"]
Sha256 = Annotated[
    str,
    shaped(r"sha256:[0-9a-f]{64}", "a SHA-256", "sha256: and 64 small hexadecimal digits"),
]


class Docker(Words):
    """Images that Docker uses."""

    portainer_server_image: Text | None = Field(None, description="Portainer's server.")
    portainer_agent_image: Text | None = Field(None, description="Portainer's agent.")


class NvidiaDriver(Words):
    """NVIDIA's driver on the host."""

    install: bool = Field(
        False, description="Whether `phoenix host` installs it, in exactly the version named."
    )
    version: Text | None = Field(
        None, description="Its version, which containers with the feature `nvidia` get too."
    )
    runfile_url: Url | None = Field(
        None,
        description="Where its installer comes from; `{version}` stands for the version. NVIDIA's "
        "own address where missing.",
    )
    checksum: Sha256 | None = Field(None, description="The installer's: `sha256:…`.")
    kernel_modules: Annotated[Modules, choice("open", "proprietary")] | None = Field(
        None,
        description="Which of NVIDIA's kernel modules: `open` (the only one for the newest cards) "
        "or `proprietary`. As the installer chooses where missing.",
    )
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
