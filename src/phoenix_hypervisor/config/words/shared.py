"""Words that containers and virtual machines (and the host) share: firewall, routes, volumes, …"""

from typing import Annotated, Any, Literal

from pydantic import Field

from phoenix_hypervisor.config.words.base import Later, Old, Words
from phoenix_hypervisor.config.words.healing import HealWord
from phoenix_hypervisor.config.words.replicas import MOST_REPLICAS, IdRange, IpRange
from phoenix_hypervisor.config.words.routes import Route
from phoenix_hypervisor.config.words.values import (
    AbsolutePath,
    GuestId,
    GuestName,
    HostName,
    Mac,
    Networks,
    NoComments,
    Port,
    PortRanges,
    SnapshotName,
    StorageName,
    Text,
    choice,
    shaped,
)

Policy = Annotated[Literal["ACCEPT", "DROP", "REJECT"], choice("ACCEPT", "DROP", "REJECT")]
Direction = Annotated[Literal["in", "out"], choice("in", "out")]
_PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "ah", "gre", "igmp")
Protocol = Annotated[
    Literal["tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "ah", "gre", "igmp"],
    choice(*_PROTOCOLS),
]


class FirewallRule(Words):
    """One rule of a firewall."""

    type: Direction = Field(description="The direction: `in` or `out`.")
    action: Policy = Field(description="`ACCEPT`, `DROP` or `REJECT`.")
    source: Networks | None = Field(
        None, description="Where the traffic comes from: an address or subnet; all where missing."
    )
    dest: Networks | None = Field(
        None, description="Where the traffic goes to: an address or subnet; all where missing."
    )
    proto: Protocol | None = Field(None, description="The protocol, such as `tcp`.")
    port: PortRanges | None = Field(
        None, description="Destination ports: one, a list, or a range such as `8000-8100`."
    )
    comment: str = Field("", description="What the rule is for.")


class Firewall(Words):
    """A guest's own packet filter."""

    enabled: bool = Field(True, description="Whether the rules hold.")
    rules: list[FirewallRule] = Field(
        default_factory=list, description="Rules; the first one that fits decides."
    )
    default_input_policy: Policy = Field(
        "DROP", description="What happens to incoming traffic that no rule names."
    )
    default_output_policy: Policy = Field(
        "ACCEPT", description="What happens to outgoing traffic that no rule names."
    )


VolumeName = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}",
        "the name of a volume",
        "letters, digits, - _ and . only, at most 50",
    ),
]
"""Part of the volume's and its device's names, of which Incus takes 64 characters."""


class Volume(Words):
    """A disk of its own for data, mounted in a container."""

    name: VolumeName = Field(description="Its name; part of the volume's name in the storage.")
    pool: StorageName | None = Field(
        None, description="The storage it lies in; the container's own where missing."
    )
    size_gb: int | None = Field(None, ge=1, description="Its size in GiB.")
    mount_point: AbsolutePath = Field(description="Where it is mounted in the container.")


class HealthCheck(Words):
    """The older spelling of one `command` check."""

    command: Text = Field(description="A command; it is well where it ends with status 0.")
    retries: int = Field(3, ge=1, le=1000, description="How often it is tried.")
    interval: int = Field(10, ge=1, le=3600, description="The pause between two tries in seconds.")


class TestCase(Words):
    """One test of a suite."""

    name: Text = Field(description="Its name.")
    type: Text = Field("script", description="What it is: `script`.")
    path: Text = Field(description="The script, below `tests/`, `scripts/` or `../bin/tests/`.")


Suites = Annotated[dict[str, list[TestCase]], NoComments]


class TraefikService(Words):
    """The older spelling of one route."""

    name: HostName = Field(description="The name that it is published under.")
    port: Port = Field(description="The port in the guest.")


class Slo(Words):
    """What a guest promises."""

    availability: float | None = Field(
        None,
        gt=0,
        le=100,
        description="In percent of the time, such as 99.9: `phoenix slo` tells how it is kept.",
    )
    latency_p95_ms: float | None = Field(
        None,
        gt=0,
        description="95 of 100 answers are faster than this, in milliseconds; the objective of its "
        "`llm` checks.",
    )


PortainerRole = Annotated[
    Literal["server", "primary", "agent", "infrastructure", "none"],
    choice("server", "primary", "agent", "infrastructure", "none"),
]


HaState = Annotated[
    Literal["started", "stopped", "disabled", "ignored"],
    choice("started", "stopped", "disabled", "ignored"),
]


class HighAvailability(Words):
    """What the cluster does with a guest whose node fails."""

    state: HaState = Field(
        "started", description="`started`, `stopped`, `disabled` or `ignored`, as Proxmox VE's."
    )
    max_restart: int | None = Field(
        None, ge=0, le=10, description="How often it is started again on its node."
    )
    max_relocate: int | None = Field(
        None, ge=0, le=10, description="How often it is moved to another node."
    )
    nodes: list[HostName] = Field(
        default_factory=list, description="The nodes it may run on, the best one first."
    )
    comment: str = Field("", description="What this is for.")


class GuestWords(Words):
    """What containers and virtual machines have in common."""

    name: GuestName | None = Field(None, description="Its name, and its host name inside.")
    description: str | None = Field(None, description="A note for people, shown beside it.")
    node: HostName | None = Field(
        None, description="The node of the cluster it is to live on; where missing: where it is."
    )
    ha: HighAvailability | None = Field(
        None, description="What happens when its node fails; left alone where missing."
    )
    memory_mb: int | None = Field(None, ge=16, le=16_777_216, description="Memory in MiB.")
    cores: int | None = Field(
        None,
        ge=1,
        le=8192,
        description="Number of CPU cores. On Proxmox VE a container may be held to less, by "
        "`cpulimit=0.5` in `pct_options`.",
    )
    storage_pool: StorageName | None = Field(None, description="The storage of its disk.")
    mac_address: Mac | None = Field(
        None, description="The MAC address of its network card; made up where missing."
    )
    dependencies: list[GuestId] = Field(
        default_factory=list,
        description="Ids of guests that must be up and healthy before this one starts.",
    )
    start_at_boot: bool = Field(False, description="Whether it starts with the host.")
    boot_order: int | None = Field(
        None, ge=0, le=10_000, description="Its place in the order of starting; lower is earlier."
    )
    boot_delay: int | None = Field(
        None, ge=0, le=3600, description="Seconds to wait after its start before the next one's."
    )
    firewall: Firewall | None = Field(None, description="Its packet filter.")
    features: list[Text] = Field(
        default_factory=list,
        description="What is installed inside, in this order. A feature's options stand beside "
        "this list under the feature's name.",
    )
    routes: list[Route] = Field(
        default_factory=list, description="What it publishes through the reverse proxy."
    )
    checks: list[dict[str, Any]] = Field(
        default_factory=list,
        description='Questions that prove that it serves, such as `{"http": {"port": 80}}`.',
    )
    replicas: int | None = Field(
        None,
        ge=1,
        le=MOST_REPLICAS,
        description="So many equal guests are made of it, named `name-1`, `name-2` and so on; its "
        "routes lead to all of them. Only for guests that keep no data.",
    )
    replica_ids: IdRange | None = Field(
        None, description="Ids for the second replica and the following, such as `950-959`."
    )
    replica_ips: IpRange | None = Field(
        None,
        description="Addresses for the second replica and the following, such as "
        "`10.0.0.50-10.0.0.59`.",
    )
    slo: Slo | None = Field(None, description="What it promises.")
    heal: HealWord = Field(
        None,
        description="What `phoenix watch` does by itself when it is down: an object, `true` (the "
        "same as leaving it out) or `false` for nothing.",
    )
    protected: bool = Field(False, description="It is never deleted, whatever is asked.")
    template_snapshot_name: SnapshotName | None = Field(
        None, description="A snapshot of this name is taken when it is complete; clones use it."
    )
    traefik_service: Annotated[TraefikService | None, Old("`routes`")] = Field(
        None, description="The older spelling of one route."
    )
    portainer_role: Annotated[PortainerRole, Later()] = Field(
        "none", description="What it is to Portainer."
    )
    trigger_sync_on_completion: Annotated[bool, Later()] = Field(
        False, description="Whether stacks are synchronised once it is complete."
    )
