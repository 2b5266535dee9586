"""What the files ask for: the whole desired state as frozen values, free of file positions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.availability import HighAvailability, Replica
from phoenix_hypervisor.model.check import Check, Slo
from phoenix_hypervisor.model.feature import FeatureOptions
from phoenix_hypervisor.model.heal import HealPolicy
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.problem import Problem
from phoenix_hypervisor.model.route import RateLimit
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import LlmRoute
from phoenix_hypervisor.model.watch import Watch

GuestKind = Literal["lxc", "vm", "host"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Image:
    """A guest made from a template or cloud image, such as `debian-13-standard_13.1-2_amd64`.

    `template` is a name, a file name, a storage's volume (`local:vztmpl/…`) or a web address.
    `checksum` is the file's own, as `sha256:` or `sha512:` and hexadecimal digits.
    """

    template: str
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class CloneOf:
    """A guest cloned from another one: from `snapshot`, or from its current state where None."""

    address: Address
    snapshot: str | None


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card. `address` is a CIDR such as `10.0.0.5/24`, `dhcp`, or None (no address)."""

    name: str
    bridge: str
    address: str | None = None
    gateway: str | None = None
    nameservers: tuple[str, ...] = ()
    mac: str | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the host inside a guest (a bind mount)."""

    source: str
    target: str
    read_only: bool = False
    owner_uid: int | None = None
    owner_gid: int | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of its own in a storage pool, mounted at `target`; it holds data that is kept."""

    name: str
    pool: str | None
    size_gb: int | None
    target: str


@dataclass(frozen=True, slots=True)
class NfsShare:
    """A folder of a file server, mounted in a virtual machine at `target`."""

    server: str
    path: str
    target: str


@dataclass(frozen=True, slots=True)
class IdMap:
    """Ids of the host that an unprivileged container sees unchanged: `size` from there on."""

    kind: Literal["uid", "gid", "both"]
    host_id: int
    container_id: int
    size: int = 1


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A card of the host that a virtual machine has for itself: one of both is given.

    `mapping` is the name of a PCI mapping of the cluster, `address` the card's own: `0000:01:00`
    (all its functions) or `0000:01:00.0`.
    """

    mapping: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class CloudUser:
    """The first user of a virtual machine, made by cloud-init. No hash: no password, keys only."""

    username: str
    ssh_keys: tuple[str, ...] = ()
    password_hash: Secret | None = None
    sudo: bool = True
    shell: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """One rule; `ports` are single ports or `low-high` ranges, empty for all."""

    direction: Literal["in", "out"]
    action: Literal["ACCEPT", "DROP", "REJECT"]
    source: str | None = None
    dest: str | None = None
    proto: str | None = None
    ports: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Firewall:
    """A guest's packet filter: the rules in order, then the default policies."""

    enabled: bool
    rules: tuple[FirewallRule, ...] = ()
    policy_in: Literal["ACCEPT", "DROP", "REJECT"] = "DROP"
    policy_out: Literal["ACCEPT", "DROP", "REJECT"] = "ACCEPT"


@dataclass(frozen=True, slots=True)
class Boot:
    """Start with the host: at all, in which order (lower first), waiting how long afterwards."""

    at_boot: bool = False
    order: int | None = None
    delay_s: int | None = None


@dataclass(frozen=True, slots=True)
class RouteAuth:
    """Who may use a route: `basic` (user and password), `bearer` (a token) or one of `keys`.

    `keys` are names and tokens; `secret` is the password or the one token, None with `keys`.
    """

    kind: Literal["basic", "bearer", "keys"]
    username: str | None
    secret: Secret | None
    keys: tuple[tuple[str, Secret], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """What a guest publishes through the reverse proxy. `host` None: every host name.

    `port` is None only where `llm` says who answers. `timeout_s` is how long an answer may be
    silent; None: as for all routes.
    """

    host: str | None
    path: str
    port: int | None
    auth: RouteAuth | None = None
    rate_limit: RateLimit | None = None
    llm: LlmRoute | None = None
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """One feature of a guest with its options."""

    name: str
    options: FeatureOptions


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the folder, run last in the guest with its arguments and environment."""

    path: Path
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str | Secret], ...] = ()


@dataclass(frozen=True, slots=True)
class Guest:
    """A container or virtual machine, all its words resolved and defaults filled in.

    `gpus` are indices of cards that a container shares with others; the cards that a virtual
    machine has for itself are in `pci`. `options` are raw options of Proxmox VE, `raw` lines of
    LXC's configuration, both as key and value. `node` is where the guest is to live; None: where
    it is, and for a new one the target's node. `ha` None: not under the HA manager. `replica` None:
    there is no second one of it.

    Of virtual machines only: `pci`, `shares`, `user`, `packages` (beside what Phoenix needs
    itself), `user_data` (a cloud-config file of the folder), `agent` (the guest agent of QEMU is
    installed and asked), `cpu`, `machine` and `bios` (None: as Proxmox VE chooses).
    """

    address: Address
    kind: GuestKind
    id: int
    name: str
    source: Image | CloneOf
    memory_mb: int
    cores: int
    swap_mb: int | None = None
    pool: str | None = None
    disk_gb: int | None = None
    nics: tuple[Nic, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[Volume, ...] = ()
    firewall: Firewall | None = None
    boot: Boot = Boot()
    unprivileged: bool = True
    nesting: bool = False
    apparmor_profile: str | None = None
    raw: tuple[tuple[str, str], ...] = ()
    gpus: tuple[int, ...] = ()
    snapshot_name: str | None = None
    is_template: bool = False
    node: str | None = None
    dependencies: tuple[Address, ...] = ()
    features: tuple[FeatureUse, ...] = ()
    script: Script | None = None
    routes: tuple[Route, ...] = ()
    ports: tuple[tuple[int, int], ...] = ()
    checks: tuple[Check, ...] = ()
    slo: Slo | None = None
    heal: HealPolicy = field(default_factory=HealPolicy)
    protected: bool = False
    description: str = ""
    ha: HighAvailability | None = None
    options: tuple[tuple[str, str], ...] = ()
    id_maps: tuple[IdMap, ...] = ()
    pci: tuple[PciDevice, ...] = ()
    shares: tuple[NfsShare, ...] = ()
    user: CloudUser | None = None
    packages: tuple[str, ...] = ()
    user_data: Path | None = None
    agent: bool = True
    cpu: str | None = None
    machine: str | None = None
    bios: Literal["seabios", "ovmf"] | None = None
    replica: Replica | None = None

    @property
    def runs(self) -> bool:
        """Whether the guest is to be running when all is done. Templates rest, once complete."""
        if self.is_template:
            return False
        return self.snapshot_name is None or self.boot.at_boot

    @property
    def ip(self) -> str | None:
        """The first static address without its prefix length, or None where DHCP decides."""
        for nic in self.nics:
            if nic.address and nic.address != "dhcp":
                return nic.address.partition("/")[0]
        return None


@dataclass(frozen=True, slots=True)
class Pool:
    """A storage pool that guests use. `declared`: the host file says how it is made."""

    address: Address
    name: str
    size_gb: int | None = None
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Bridge:
    """A network bridge that guests use; `cidr` is the host's own address on it, with its prefix."""

    address: Address
    name: str
    cidr: str | None = None
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics card of the host. `mapping` names the cluster's PCI mapping that stands for it."""

    index: int
    name: str = ""
    memory_mb: int | None = None
    pci: str | None = None
    mapping: str | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the host has; None where nothing tells it."""

    memory_mb: int | None = None
    cores: int | None = None
    storage_gb: int | None = None


@dataclass(frozen=True, slots=True)
class HostUser:
    """A person: made on the host and, by `base_setup`, in guests."""

    username: str
    sudo: bool = False
    password_hash: Secret | None = None
    ssh_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NvidiaDriver:
    """What the files say of NVIDIA's driver, the same on the host and in its containers.

    `runfile_url` is where its installer comes from, `repo_url` its distribution packages.
    """

    version: str | None = None
    runfile_url: str | None = None
    repo_url: str | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """What the hypervisor file says that guests also need to know, and `setup`: all the rest."""

    domain: str | None = None
    timezone: str | None = None
    users: tuple[HostUser, ...] = ()
    gpus: tuple[Gpu, ...] | None = None
    capacity: Capacity = Capacity()
    nvidia: NvidiaDriver = NvidiaDriver()
    setup: HostSetup = field(default_factory=HostSetup)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the stack lives: the words of `hypervisor`, for the driver that is asked.

    `fingerprint` is the SHA-256 of the API's certificate: 32 pairs of capital hexadecimal digits,
    joined by colons. `username` (`root@pam`) and `password` stand in for the token. `requests` is
    how many requests may be under way at one node. `ssh` may hold `host`, `hosts` (a map of the
    other nodes), `port`, `user`, `identity_file`, `known_hosts`, `config_file` and `command`, each
    a text but the port.
    """

    driver: Literal["proxmox", "incus", "sim"] | None = None
    endpoint: str | None = None
    node: str | None = None
    token_id: str | None = None
    token_secret: Secret | None = None
    verify_tls: bool = True
    ca_file: str | None = None
    project: str = "phoenix"
    ssh: Mapping[str, Json] = field(default_factory=dict)
    fingerprint: str | None = None
    username: str | None = None
    password: Secret | None = None
    requests: int = 6


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything the folder asks for. `notes` are warnings worth showing beside a plan."""

    folder: Path
    stack: str
    target: Target = Target()
    host: Host = Host()
    guests: Mapping[Address, Guest] = field(default_factory=dict)
    pools: Mapping[Address, Pool] = field(default_factory=dict)
    bridges: Mapping[Address, Bridge] = field(default_factory=dict)
    notes: tuple[Problem, ...] = ()
    watch: Watch = field(default_factory=Watch)
