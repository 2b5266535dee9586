"""The words of `phoenix_vm_configs.json`: virtual machines, a list."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, WithJsonSchema, model_validator

from phoenix_hypervisor.config.words.base import Later, Words, wrong
from phoenix_hypervisor.config.words.host_names import DnsRecords
from phoenix_hypervisor.config.words.network import NetworkConfig
from phoenix_hypervisor.config.words.shared import GuestWords
from phoenix_hypervisor.config.words.target import (
    DEVICE,
    Checksum,
    CpuType,
    DevicesSchema,
    MachineType,
    MappingName,
    Package,
    PciAddress,
    Template,
)
from phoenix_hypervisor.config.words.values import (
    AbsolutePath,
    BridgeName,
    Gpus,
    GuestId,
    HostName,
    Lines,
    LoginName,
    Server,
    StorageName,
    Text,
)
from phoenix_hypervisor.model.secret import Secret


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


class UserConfig(Words, extra="allow"):
    """The first user of a virtual machine, made by cloud-init. Old files may hold more keys."""

    __pydantic_extra__: dict[str, Any]

    username: LoginName | None = Field(None, description="The login name.")
    ssh_public_key: Lines = Field(
        default_factory=list,
        validation_alias=AliasChoices("ssh_public_key", "ssh_public_keys", "ssh_keys"),
        description="One SSH key, or several.",
    )
    password_hash: Secret | None = Field(
        None, description="The password's hash, as `mkpasswd` prints it. None: keys only."
    )
    sudo: bool = Field(True, description="Whether the user may use sudo.")
    shell: AbsolutePath | None = Field(None, description="The login shell; `/bin/bash` if missing.")
    groups: list[LoginName] = Field(default_factory=list, description="More groups.")
    packages: list[Package] = Field(
        default_factory=list, description="Packages that are installed at the first start."
    )


class PciDevice(Words):
    """A card of the host that the virtual machine has for itself; one of both."""

    mapping: MappingName | None = Field(None, description="The name of a PCI mapping.")
    address: PciAddress | None = Field(
        None, description="The card's address, such as `0000:01:00`; this needs root on the node."
    )

    @model_validator(mode="after")
    def _one(self) -> "PciDevice":
        if (self.mapping is None) == (self.address is None):
            raise wrong(
                "must hold exactly one of `mapping` and `address`",
                'such as "gpu0"',
                lacking=self.mapping is None,
            )
        return self


class CloudInit(Words):
    """What cloud-init does beside the rest."""

    user_data: Text | None = Field(
        None, description="A file of the folder: a cloud-config that is added to Phoenix's own."
    )


class Machine(GuestWords):
    """A virtual machine."""

    vmid: GuestId | None = Field(None, description="Its id.")
    disk_size_gb: int | None = Field(
        None, ge=1, le=1_048_576, description="The size of its disk in GiB."
    )
    template: Text | None = Field(None, description="The template it is made from.")
    is_template: bool = Field(False, description="It is a template: made, never left running.")
    template_image: Template | None = Field(
        None, description="The cloud image it is made from: a file name or a web address."
    )
    template_checksum: Checksum | None = Field(
        None, description="The checksum of an image from the web, as `sha256:…`."
    )
    clone_from_vmid: GuestId | None = Field(
        None, description="The virtual machine it is cloned from, instead of an image."
    )
    network_bridge: BridgeName | None = Field(
        None,
        description="The bridge it is plugged into; without `network_config` its address comes by "
        "DHCP.",
    )
    network_config: NetworkConfig | None = Field(None, description="Its network card.")
    user_config: UserConfig = Field(
        default_factory=UserConfig, description="Its first user, for cloud-init."
    )
    cloud_init: CloudInit = Field(
        default_factory=CloudInit, description="What cloud-init does beside the rest."
    )
    volumes: list[NfsVolume] = Field(
        default_factory=list, description="Shares that are mounted in it."
    )
    gpu_assignment: Gpus = Field(
        default_factory=list,
        description="The host's graphics cards that it has for itself: `none`, `0`, `0,1`.",
    )
    pci: Annotated[list[Annotated[PciDevice, DEVICE]], WithJsonSchema(DevicesSchema)] = Field(
        default_factory=list,
        description="Cards of the host that it has for itself: names of mappings, or addresses.",
    )
    agent: bool = Field(
        True, description="Whether the guest agent of QEMU is installed in it and asked."
    )
    cpu: CpuType | None = Field(None, description="The type of CPU, such as `host`.")
    machine: MachineType | None = Field(
        None, description="`q35` or `pc`; where missing, what its cards need."
    )
    bios: Literal["seabios", "ovmf"] | None = Field(
        None, description="`seabios`, or `ovmf` for UEFI."
    )
    docker_stacks: list[
        Annotated[Stack, BeforeValidator(_stack), WithJsonSchema(_STACK_SCHEMA)]
    ] = Field(
        default_factory=list,
        description="Compose projects that its feature `docker` runs; one whose folder is not "
        "there is passed over.",
    )
    portainer_environment_name: Annotated[Text | None, Later()] = Field(
        None, description="Its name in Portainer."
    )
    portainer_agent_hostname: Annotated[HostName | None, Later()] = Field(
        None, description="The name under which Portainer reaches it."
    )
    dns_records: DnsRecords = Field(
        default_factory=list,
        description="More names of it, or of another address, for the DNS server.",
    )


class VmFile(Words):
    """The virtual machines."""

    vm_defaults: VmDefaults = Field(
        default_factory=VmDefaults, description="Values for machines that have none of their own."
    )
    vms: Annotated[list[Any], WithJsonSchema({"type": "array"})] = Field(
        default_factory=list, description="The virtual machines."
    )
