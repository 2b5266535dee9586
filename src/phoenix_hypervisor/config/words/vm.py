"""The words of `phoenix_vm_configs.json`: virtual machines, a list."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from phoenix_hypervisor.config.words.base import Later, Words
from phoenix_hypervisor.config.words.network import NetworkConfig
from phoenix_hypervisor.config.words.shared import GuestWords
from phoenix_hypervisor.config.words.values import (
    AbsolutePath,
    BridgeName,
    GuestId,
    HostName,
    Server,
    StorageName,
    Text,
)


class VmDefaults(Words):
    """What a virtual machine gets where it says nothing itself."""

    template: Text | None = Field(None, description="The template.")
    cores: int | None = Field(None, ge=1, description="Number of CPU cores.")
    memory_mb: int | None = Field(None, ge=16, description="Memory in MiB.")
    disk_size_gb: int | None = Field(None, ge=1, description="The size of its disk in GiB.")
    storage_pool: StorageName | None = Field(None, description="The storage of its disk.")
    network_bridge: BridgeName | None = Field(None, description="The bridge it is plugged into.")


class NfsVolume(Words):
    """A share of a file server in the virtual machine."""

    type: Literal["nfs"] = Field("nfs", description="`nfs`.")
    name: Text | None = Field(None, description="Its name.")
    server: Server = Field(description="The file server.")
    path: AbsolutePath = Field(description="The folder on the server.")
    mount_point: AbsolutePath = Field(description="Where it is mounted.")


def _stack(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class Stack(Words):
    """A Docker stack of the folder."""

    name: Text = Field(description="Its folder below `stacks/`.")
    environment: Text | None = Field(None, description="Which of its environments is used.")


_STACK_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "environment": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    ]
}


class Machine(GuestWords):
    """A virtual machine."""

    vmid: GuestId | None = Field(None, description="Its id.")
    disk_size_gb: int | None = Field(
        None, ge=1, le=1_048_576, description="The size of its disk in GiB."
    )
    template: Text | None = Field(None, description="The template it is made from.")
    is_template: bool = Field(False, description="It is a template: made, never left running.")
    template_image: Text | None = Field(
        None, description="The file name of the cloud image it is made from."
    )
    clone_from_vmid: GuestId | None = Field(
        None, description="The virtual machine it is cloned from, instead of an image."
    )
    network_bridge: BridgeName | None = Field(None, description="The bridge it is plugged into.")
    network_config: NetworkConfig | None = Field(None, description="Its network card.")
    user_config: Annotated[dict[str, Any], Later()] = Field(
        default_factory=dict, description="Its first user, for cloud-init."
    )
    volumes: Annotated[list[NfsVolume], Later()] = Field(
        default_factory=list, description="Shares that are mounted in it."
    )
    docker_stacks: Annotated[
        list[Annotated[Stack, BeforeValidator(_stack), WithJsonSchema(_STACK_SCHEMA)]], Later()
    ] = Field(default_factory=list, description="Docker stacks that run in it.")
    portainer_environment_name: Annotated[Text | None, Later()] = Field(
        None, description="Its name in Portainer."
    )
    portainer_agent_hostname: Annotated[HostName | None, Later()] = Field(
        None, description="The name under which Portainer reaches it."
    )
    dns_records: Annotated[list[Any], Later()] = Field(
        default_factory=list, description="DNS records for it."
    )


class VmFile(Words):
    """The virtual machines."""

    vm_defaults: VmDefaults = Field(
        default_factory=VmDefaults, description="Values for machines that have none of their own."
    )
    vms: Annotated[list[Any], WithJsonSchema({"type": "array"})] = Field(
        default_factory=list, description="The virtual machines."
    )
