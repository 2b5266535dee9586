"""The words of `phoenix_hypervisor_config.json`: the target, people, defaults and the host."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from phoenix_hypervisor.config.words.base import Keyed, Later, Note, Unused, Words
from phoenix_hypervisor.config.words.host import Behavior, Docker, NvidiaDriver, PortainerApi
from phoenix_hypervisor.config.words.host_backups import Backups
from phoenix_hypervisor.config.words.host_firewall import HostFirewall
from phoenix_hypervisor.config.words.host_names import DnsServer, StepCa
from phoenix_hypervisor.config.words.host_network import Network
from phoenix_hypervisor.config.words.host_shares import Nfs, Samba
from phoenix_hypervisor.config.words.host_storage import Zfs
from phoenix_hypervisor.config.words.host_system import HostSystem
from phoenix_hypervisor.config.words.host_volumes import SharedVolumes
from phoenix_hypervisor.config.words.shared import Suites
from phoenix_hypervisor.config.words.target import (
    Account,
    Command,
    Fingerprint,
    MappingName,
    PciAddress,
    TokenId,
)
from phoenix_hypervisor.config.words.values import (
    AbsolutePath,
    Flag,
    HostName,
    Lines,
    LoginName,
    NoComments,
    Port,
    ProjectName,
    Server,
    StackName,
    StorageName,
    Text,
    TimeZone,
    Url,
)
from phoenix_hypervisor.config.words.watching import Watch
from phoenix_hypervisor.model.secret import Secret


class Capacity(Words):
    """What the host has to give."""

    memory_mb: int | None = Field(None, ge=1, description="Memory in MiB.")
    cores: int | None = Field(None, ge=1, description="Number of CPU cores.")
    storage_gb: int | None = Field(None, ge=1, description="Storage in GiB, all pools together.")


class PoolSize(Words):
    """A storage pool that is made where it is missing."""

    size_gb: int = Field(ge=1, description="Its size in GiB.")


class Ssh(Words):
    """The way to a root shell on the node; the rest is as your own SSH configuration says."""

    host: Server | None = Field(None, description="The node's name or address; the endpoint's.")
    hosts: Annotated[dict[HostName, Server], NoComments] = Field(
        default_factory=dict, description="Addresses of the cluster's other nodes, by their names."
    )
    port: Port | None = Field(None, description="The port.")
    user: LoginName | None = Field(
        None, description="The user, `root` where missing; any other one uses `sudo -n`."
    )
    identity_file: Text | None = Field(None, description="The private key's file.")
    known_hosts: Text | None = Field(None, description="The file of known host keys.")
    config_file: Text | None = Field(None, description="The file of SSH's configuration.")
    command: Command | None = Field(
        None, description="A command that starts a root shell on the node, instead of all others."
    )


class Hypervisor(Words):
    """Where the guests live, and how to get there."""

    driver: Literal["proxmox", "incus", "sim"] | None = Field(
        None, description="`proxmox`, `incus` or `sim`; chosen by the machine where missing."
    )
    endpoint: Url | None = Field(None, description="The API's address, as `https://pve1:8006`.")
    node: HostName | None = Field(None, description="The node's name.")
    token_id: TokenId | None = Field(None, description="The API token, as `user@realm!name`.")
    token_secret: Secret | None = Field(
        None, description='The API token\'s secret, as `{"secret": "NAME"}`.'
    )
    username: Account | None = Field(
        None, description="The user, as `root@pam`: with `password`, instead of a token."
    )
    password: Secret | None = Field(
        None, description='The user\'s password, as `{"secret": "NAME"}`.'
    )
    verify_tls: bool = Field(True, description="Whether the API's certificate is checked.")
    ca_file: Text | None = Field(None, description="A file of certificates to trust.")
    fingerprint: Fingerprint | None = Field(
        None,
        description="The SHA-256 fingerprint of the API's certificate, which is trusted then.",
    )
    requests: int = Field(
        6, ge=1, le=64, description="How many requests may be under way at one node."
    )
    ssh: Ssh = Field(default_factory=Ssh, description="The way to a root shell on the node.")
    stack: StackName | None = Field(
        None,
        description="The mark of everything made. Where missing: the folder's name in small ASCII "
        "letters, digits and dashes.",
    )
    project: ProjectName = Field("phoenix", description="The Incus project that guests live in.")
    capacity: Capacity = Field(default_factory=Capacity, description="What the host has to give.")
    pools: Annotated[dict[StorageName, PoolSize], NoComments] = Field(
        default_factory=dict, description="Sizes of pools that are made where they are missing."
    )


class User(Words):
    """A person."""

    username: LoginName | None = Field(None, description="The login name.")
    password_hash: Secret | None = Field(
        None, description="The password's hash, as `mkpasswd` prints it."
    )
    sudo_access: bool = Field(False, description="Whether the user may use sudo.")
    ssh_public_key: Lines = Field(default_factory=list, description="One SSH key, or several.")


_USERS = Keyed(frozenset(User.model_fields))
Users = Annotated[dict[str, User], BeforeValidator(_USERS.read), _USERS]


class LxcDefaults(Words):
    """What a container gets where it says nothing itself."""

    cores: int | None = Field(None, ge=1, description="Number of CPU cores.")
    memory_mb: int | None = Field(None, ge=16, description="Memory in MiB.")
    network_config: Annotated[Text | None, Later()] = Field(
        None, description="Address, gateway and DNS server, as `10.0.0.9/24,10.0.0.1,8.8.8.8`."
    )
    features: Text | None = Field(None, description="Proxmox VE's features, as `nesting=1`.")
    security: Annotated[Text | None, Later(matters=lambda value: value != "default")] = Field(
        None, description="Not used."
    )
    nesting: Flag | None = Field(
        None, description="Whether containers may hold containers, such as Docker's."
    )


class ProxmoxDefaults(Words):
    """Defaults for containers."""

    zfs_lxc_pool: Text | None = Field(
        None, description="The dataset of containers' disks, as `pool/dataset`."
    )
    lxc: LxcDefaults = Field(default_factory=LxcDefaults, description="Sizes and more.")


class HostVmDefaults(Words):
    """Defaults for virtual machines."""

    ubuntu_release: Text | None = Field(None, description="Ubuntu's release, such as `noble`.")


class Gpu(Words):
    """A graphics card of the host."""

    index: int = Field(ge=0, description="Its index, as `gpu_assignment` names it.")
    name: str = Field("", description="Its name.")
    memory_mb: int | None = Field(
        None,
        ge=1,
        validation_alias=AliasChoices("memory_mb", "memory"),
        description="Its memory in MiB.",
    )
    pci: PciAddress | None = Field(
        None,
        validation_alias=AliasChoices("pci", "pci_address"),
        description="Its PCI address, such as `0000:01:00.0`.",
    )
    mapping: MappingName | None = Field(
        None, description="The PCI mapping of the cluster that stands for it."
    )


class HypervisorFile(Words):
    """The host and the target."""

    version: Annotated[Text | None, Note()] = Field(None, description="The file's version.")
    author: Annotated[Text | None, Note()] = Field(None, description="Who wrote it.")
    hypervisor: Hypervisor = Field(
        default_factory=Hypervisor, description="Where the guests live, and how to get there."
    )
    domain_name: HostName | None = Field(None, description="The domain of the guests' names.")
    timezone: TimeZone | None = Field(None, description="The time zone, such as `Europe/Berlin`.")
    users: Users = Field(default_factory=dict, description="People, on the host and in guests.")
    core_paths: Annotated[dict[str, Any], Unused()] = Field(
        default_factory=dict, description="Paths of the old layout."
    )
    network: Network = Field(default_factory=Network, description="The host's network.")
    docker: Annotated[Docker, Later()] = Field(
        default_factory=Docker, description="Images that Docker uses."
    )
    nfs: Nfs = Field(default_factory=Nfs, description="Shares over NFS.")
    samba: Samba = Field(default_factory=Samba, description="Shares over SMB.")
    system: HostSystem = Field(default_factory=HostSystem, description="The host's own software.")
    zfs: Zfs = Field(default_factory=Zfs, description="The host's storage.")
    proxmox_storage_ids: Annotated[dict[str, Text], NoComments] = Field(
        default_factory=dict, description="Names of your own for ids of storages."
    )
    mount_point_base: AbsolutePath | None = Field(
        None, description="Where the host mounts new pools: `/mnt/pve` makes `/mnt/pve/<pool>`."
    )
    proxmox_defaults: ProxmoxDefaults = Field(
        default_factory=ProxmoxDefaults, description="Defaults for containers."
    )
    vm_defaults: Annotated[HostVmDefaults, Later()] = Field(
        default_factory=HostVmDefaults, description="Defaults for virtual machines."
    )
    tests: Annotated[Suites, Later()] = Field(
        default_factory=dict, description="Suites of tests of the host."
    )
    nvidia_driver: NvidiaDriver = Field(
        default_factory=NvidiaDriver, description="NVIDIA's driver on the host."
    )
    gpus: list[Gpu] | None = Field(
        None, description="The host's graphics cards; `phoenix discover` fills them in."
    )
    behavior: Annotated[Behavior, Later()] = Field(
        default_factory=Behavior, description="How the old scripts behaved."
    )
    shared_volumes: SharedVolumes = Field(
        default_factory=SharedVolumes, description="Folders of the host that guests mount."
    )
    backups: Backups = Field(default_factory=Backups, description="Backups of guests.")
    watch: Watch = Field(default_factory=Watch, description="How the stack is watched.")
    firewall: HostFirewall | None = Field(None, description="The host's packet filter.")
    dns_server: DnsServer = Field(
        default_factory=DnsServer, description="A DNS server on the host."
    )
    step_ca: StepCa = Field(
        default_factory=StepCa, description="A certificate authority of one's own."
    )
    portainer_api: Annotated[PortainerApi, Later()] = Field(
        default_factory=PortainerApi, description="The way into Portainer."
    )
