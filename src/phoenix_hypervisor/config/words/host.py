"""Words of the hypervisor file that describe the host below the guests: storage, shares, services.

They belong to `phoenix host`; what guests need of them is read already.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from phoenix_hypervisor.config.words.base import Keyed, Later, Words
from phoenix_hypervisor.config.words.shared import HostFirewall
from phoenix_hypervisor.config.words.values import (
    AbsolutePath,
    Address,
    BridgeName,
    GuestId,
    HostName,
    Ip,
    Ips,
    Lines,
    Networks,
    NoComments,
    Port,
    Properties,
    Server,
    Text,
    Url,
)
from phoenix_hypervisor.model.secret import Secret


class Interface(Words):
    """A bridge or network card of the host."""

    name: BridgeName | None = Field(None, description="Its name, such as `vmbr0`.")
    address: Address | None = Field(None, description="The host's address on it.")
    gateway: Ip | None = Field(None, description="The default gateway.")
    dns_nameservers: Ips = Field(default_factory=list, description="DNS servers of the host.")


_INTERFACES = Keyed(frozenset({"name", "address", "gateway", "dns_nameservers"}))
Interfaces = Annotated[dict[str, Interface], BeforeValidator(_INTERFACES.read), _INTERFACES]


class Network(Words):
    """The host's network."""

    interfaces: Interfaces = Field(default_factory=dict, description="Bridges and network cards.")
    default_subnet: Networks | None = Field(None, description="The guests' subnet.")
    nfs_server: Server | None = Field(None, description="The file server.")
    fallback_dns: Ip | None = Field(None, description="The DNS server where no other answers.")
    external_registry_url: Text | None = Field(None, description="The registry of images.")
    portainer_server_ip: Ip | None = Field(None, description="Portainer's address.")
    portainer_server_port: Port | None = Field(None, description="Portainer's port.")
    portainer_agent_port: Port | None = Field(None, description="The port of Portainer's agents.")


class Docker(Words):
    """Images that Docker uses."""

    portainer_server_image: Text | None = Field(None, description="Portainer's server.")
    portainer_agent_image: Text | None = Field(None, description="Portainer's agent.")


class NfsExport(Words):
    """A folder that the host shares over NFS."""

    path: AbsolutePath = Field(description="The folder.")
    clients: list[Text] = Field(default_factory=list, description="Who may mount it.")
    options: Lines = Field(default_factory=list, description="Options, as in `/etc/exports`.")


class Nfs(Words):
    """The host as an NFS server."""

    exports: list[NfsExport] = Field(default_factory=list, description="Shared folders.")


class SambaShare(Words):
    """A folder that the host shares over SMB."""

    name: Text = Field(description="The share's name.")
    path: Text = Field(description="The folder or dataset.")
    options: Text | None = Field(None, description="Options, as `a=b c=d`.")
    valid_users: list[Text] = Field(default_factory=list, description="Who may use it.")


class Samba(Words):
    """The host as an SMB server."""

    user: Text | None = Field(None, description="The user that owns the files.")
    shares: list[SambaShare] = Field(default_factory=list, description="Shared folders.")


class ZfsPool(Words):
    """A ZFS pool."""

    name: Text = Field(description="Its name.")
    raid_level: Literal["single", "mirror", "raidz1", "raidz2", "raidz3"] = Field(
        description="`single`, `mirror`, `raidz1`, `raidz2` or `raidz3`."
    )
    disks: list[Text] = Field(description="Its disks, best by `/dev/disk/by-id/…`.", min_length=1)


class ZfsDataset(Words):
    """A ZFS dataset."""

    name: Text = Field(description="Its name in the pool.")
    pool: Text = Field(description="The pool it lies in.")
    properties: Properties | None = Field(
        None, description="Properties, as `compression=lz4,quota=100G`."
    )
    proxmox_storage_type: Literal["zfspool", "dir"] | None = Field(
        None, description="What it is to Proxmox VE: `zfspool` or `dir`."
    )
    proxmox_content_type: Text | None = Field(
        None, description="What it holds, as `images,rootdir`."
    )
    storage_class: Literal["direct", "shared"] | None = Field(
        None, description="`direct` for guests' disks, `shared` for folders of many."
    )


class Zfs(Words):
    """The host's storage."""

    arc_max_gb: float | None = Field(None, gt=0, description="Memory for ZFS's cache in GiB.")
    pools: list[ZfsPool] = Field(default_factory=list, description="Pools.")
    datasets: list[ZfsDataset] = Field(default_factory=list, description="Datasets.")


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


class SharedVolume(Words):
    """A folder of the host that several guests mount."""

    host_path: AbsolutePath = Field(description="The folder on the host.")
    mounts: Annotated[dict[GuestId, AbsolutePath], NoComments] = Field(
        default_factory=dict, description="Guest's id to path in the guest."
    )


class SharedVolumes(Words, extra="allow"):
    """Folders of the host that several guests mount, each under its name."""

    __pydantic_extra__: dict[str, SharedVolume]

    firewall: Annotated[HostFirewall | None, Later()] = Field(
        None, description="The host's firewall, which some files hold here by mistake."
    )


class DnsServer(Words):
    """A DNS server on the host."""

    enabled: bool = Field(False, description="Whether it runs.")
    upstream_servers: Ips = Field(default_factory=list, description="Who answers the rest.")
    authoritative_zones: list[Any] = Field(default_factory=list, description="Zones of its own.")


class StepCa(Words):
    """A certificate authority of one's own."""

    root_ca_name: Text | None = Field(None, description="The root's name.")
    intermediate_ca_name: Text | None = Field(None, description="The intermediate's name.")
    dns_name: HostName | None = Field(None, description="Its host name.")
    provisioner_name: Text | None = Field(None, description="Its provisioner.")


class PortainerApi(Words):
    """The way into Portainer."""

    admin_user: Text | None = Field(None, description="The administrator.")
    admin_password: Secret | None = Field(None, description="The administrator's password.")
    portainer_hostname: HostName | None = Field(None, description="Portainer's host name.")
