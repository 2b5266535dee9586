"""The words of `phoenix_lxc_configs.json`: containers, keyed by their id."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from phoenix_hypervisor.config.words.base import Later, Old, Words, wrong
from phoenix_hypervisor.config.words.network import NetworkConfig
from phoenix_hypervisor.config.words.shared import GuestWords, HealthCheck, Suites, Volume
from phoenix_hypervisor.config.words.target import Checksum, Template
from phoenix_hypervisor.config.words.values import (
    SECRET_SCHEMA,
    AbsolutePath,
    Gpus,
    GuestId,
    NoComments,
    Served,
    Text,
    Url,
)
from phoenix_hypervisor.config.words.vllm import OldVllm
from phoenix_hypervisor.model.secret import Secret


class MountPoint(Words):
    """A folder of the host in the container."""

    host_path: AbsolutePath = Field(description="The folder on the host.")
    container_path: AbsolutePath = Field(description="Where it appears in the container.")
    read_only: bool = Field(False, description="Whether the container may only read it.")
    owner_uid: int | None = Field(None, ge=0, description="Its owner, as the container sees it.")
    owner_gid: int | None = Field(None, ge=0, description="Its group, as the container sees it.")


class IdMap(Words):
    """A user or group id that is the same on the host and in the container."""

    type: Literal["uid", "gid", "both"] = Field("both", description="`uid`, `gid` or `both`.")
    host_id: int = Field(ge=0, description="The id on the host.")
    container_id: int = Field(ge=0, description="The id in the container.")
    size: int = Field(1, ge=1, description="How many ids from there on.")


class IntegrationTests(Words):
    """A script that tests the container together with others."""

    script: Text = Field(description="The script.")


def _env(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and list(value) == ["secret"]:
        name = value["secret"]
        if isinstance(name, str) and name:
            return Secret(name=name)
    hint = "write numbers in double quotes too"
    raise wrong('must be text, or {"secret": "NAME"}', hint)


_ENV_SCHEMA = {"anyOf": [{"type": "string"}, SECRET_SCHEMA]}
EnvValue = Annotated[Any, BeforeValidator(_env), WithJsonSchema(_ENV_SCHEMA)]


class Container(OldVllm, GuestWords):
    """A container."""

    storage_size_gb: int | None = Field(
        None, ge=1, le=1_048_576, description="The size of its disk in GiB."
    )
    swap_mb: int | None = Field(None, ge=0, description="Swap in MiB.")
    template: Template | None = Field(
        None,
        description="The template it is made from, such as `debian-13-standard`; a volume such as "
        "`local:vztmpl/…`, or a web address.",
    )
    template_checksum: Checksum | None = Field(
        None, description="The checksum of a template from the web, as `sha256:…`."
    )
    clone_from_ctid: GuestId | None = Field(
        None, description="The container it is cloned from, instead of a template."
    )
    network_config: NetworkConfig | None = Field(None, description="Its network card.")
    gpu_assignment: Gpus = Field(
        default_factory=list, description="The host's graphics cards it uses: `none`, `0`, `0,1`."
    )
    unprivileged: bool = Field(
        True, description="Whether root inside is nobody on the host. Leave it so."
    )
    application_script: Text | None = Field(
        None, description="A script of the folder (`scripts/`), run last inside."
    )
    application_script_args: list[str] = Field(
        default_factory=list, description="The script's arguments."
    )
    application_script_env: Annotated[dict[str, EnvValue], NoComments] = Field(
        default_factory=dict, description="The script's environment; values may be secrets."
    )
    ports: Annotated[list[Served], Later()] = Field(
        default_factory=list, description='What it serves, as "host:guest" ports.'
    )
    mount_points: list[MountPoint] = Field(
        default_factory=list, description="Folders of the host that it sees."
    )
    volumes: list[Volume] = Field(
        default_factory=list, description="Disks of its own for data; they outlive changes."
    )
    zfs_volumes: list[Volume] = Field(default_factory=list, description="The same as `volumes`.")
    lxc_options: list[Text] = Field(
        default_factory=list, description="Raw lines of LXC's configuration, as `lxc.key=value`."
    )
    pct_options: list[Text] = Field(
        default_factory=list,
        description="Raw options of `pct`, as `key=value` or `--key value`, such as "
        "`features: nesting=1,keyctl=1`.",
    )
    apparmor_profile: Text | None = Field(
        None, description="`generated`, `unconfined`, or the name of a profile of the host."
    )
    apparmor_manages_nesting: Annotated[bool, Later()] = Field(
        False, description="Whether the AppArmor profile allows nesting by itself."
    )
    health_check: Annotated[HealthCheck | None, Old("`checks`")] = Field(
        None, description="The older spelling of a `command` check."
    )
    tests: Annotated[Suites, Later()] = Field(
        default_factory=dict, description="Suites of tests, each a list under its name."
    )
    id_maps: list[IdMap] = Field(
        default_factory=list, description="Ids of the host that are passed through."
    )
    enable_lifecycle_snapshots: Annotated[bool, Later()] = Field(
        False, description="Whether snapshots are taken before and after it is configured."
    )
    bootstrap_ca_url: Annotated[Url | None, Later()] = Field(
        None, description="The certificate authority that it trusts first."
    )
    integration_tests: Annotated[IntegrationTests | None, Later()] = Field(
        None, description="A script that tests it together with others."
    )
    run_integration_tests: Annotated[bool, Later()] = Field(
        False, description="Whether that script runs once it is complete."
    )


class LxcFile(Words):
    """The containers."""

    nvidia_driver_version: Text | None = Field(
        None, description="The version of NVIDIA's driver inside; the same as the host's."
    )
    nvidia_repo_url: Url | None = Field(
        None, description="Where packages of the driver come from, if not its installer."
    )
    nvidia_runfile_url: Url | None = Field(
        None, description="Where the driver's installer comes from."
    )
    lxc_configs: Annotated[dict[str, Any], NoComments, WithJsonSchema({"type": "object"})] = Field(
        default_factory=dict, description="The containers, each under its id."
    )
