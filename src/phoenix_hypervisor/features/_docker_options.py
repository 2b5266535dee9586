"""The words of `docker`: the engine, its logins and base images, and the stacks."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator

from phoenix_hypervisor.features._words import (
    AbsolutePath,
    AddressOf,
    Name,
    PackageName,
    PlainText,
    RelativePath,
)
from phoenix_hypervisor.model.feature import FeatureOptions, InFolder
from phoenix_hypervisor.model.secret import Secret

KEY_START = "-----BEGIN PGP"
OWN_WORDS = {
    "data-root": "data_root",
    "graph": "data_root",
    "storage-driver": "storage_driver",
    "registry-mirrors": "registry_mirrors",
    "insecure-registries": "insecure_registries",
    "default-address-pools": "address_pools",
    "live-restore": "live_restore",
    "log-opts": "log_max_mb and log_files",
}
"""Keys of daemon.json that are not for `settings`, each with the word to write instead."""
_STEERS = re.compile(r"(COMPOSE|DOCKER|BUILDX|BUILDKIT|LD)_.*|PATH|HOME|IFS|ENV|SHELL")

Url = Annotated[str, StringConstraints(pattern=r"^(https?|file)://[^\s'\"\\]+$")]
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+:~-]+$")]
Registry = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$")
]
"""A registry as an image's name begins, such as `registry.example:5000`, or a subnet."""
ImageTag = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"),
]
ProjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A project's name as compose takes it."""
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Repository(FeatureOptions):
    """A package repository of Docker's own packages (`docker-ce`), instead of the distribution."""

    url: Url = Field(description="Where it is, for this distribution.")
    key: Annotated[str, InFolder("", "file", or_text=KEY_START)] = Field(
        description="The key that signs it, in ASCII armour: a file beside the files, or its text."
    )
    suite: Name | None = Field(None, description="Default: the guest's release, such as `trixie`.")
    component: Name = Field("stable", description="Such as `stable` or `test`.")


class Login(FeatureOptions):
    """Who the engine is to a registry."""

    registry: Registry = Field(description="Such as `registry.example:5000`.")
    username: PlainText = Field(description="The user, or the token's name.")
    password: Secret = Field(description="The password or token.")


class AddressPool(FeatureOptions):
    """Addresses that networks of containers are taken from."""

    base: IPv4Network | IPv6Network = Field(description="All of them, as `172.30.0.0/16`.")
    size: int = Field(24, ge=1, le=128, description="The prefix length of one network.")


class BaseImage(FeatureOptions):
    """An image that the guest makes of its own distribution's packages."""

    tag: ImageTag = Field(description="Its name, such as `local/python:3.13`.")
    packages: tuple[PackageName, ...] = Field(
        (), description="Debian packages in it, beside those that apt needs itself."
    )


class Stack(FeatureOptions):
    """A compose project: the folder `stacks/<name>/`."""

    name: Name = Field(description="The folder below stacks/.")
    environment: Name | None = Field(
        None,
        description="Such as `production`, `testing` or `development`: "
        "`docker-compose.<environment>.yml` and `.env.<environment>` are used too.",
    )
    project: ProjectName | None = Field(
        None, description="Compose's name for it. Default: the folder's, in small letters."
    )
    files: tuple[RelativePath, ...] = Field(
        (), description="More compose files of its folder; what stands in a later one wins."
    )
    profiles: tuple[Name, ...] = Field((), description="Profiles whose services run as well.")
    variables: dict[VariableName, str | Secret | AddressOf] = Field(
        {},
        description='What compose puts in for `${NAME}`: values, {"secret": "NAME"}, or '
        '{"address_of": "guest"}.',
    )
    start_s: int = Field(
        180, ge=1, le=3600, description="How long its services may take to run and be healthy."
    )
    remove_volumes: bool = Field(
        False, description="Once it is no longer in the files, its volumes are removed with it."
    )
    optional: bool = Field(
        False,
        description="Where its folder is not there it is passed over, as one of `docker_stacks`.",
    )

    @field_validator("variables")
    @classmethod
    def _steers_nothing(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if _STEERS.fullmatch(name):
                raise ValueError(f"{name} steers docker compose itself: give it another name")
        return value

    @property
    def called(self) -> str:
        """The project's name."""
        return self.project or re.sub(r"[^a-z0-9_-]", "", self.name.lower()).lstrip("_-") or "stack"


def _stack(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class DockerOptions(FeatureOptions):
    """Options of `docker`."""

    stacks: tuple[
        Annotated[Stack, BeforeValidator(_stack, json_schema_input_type=Stack | str)], ...
    ] = Field((), description="Compose projects: names of folders below stacks/, or objects.")
    repository: Repository | None = Field(
        None, description="Docker's own packages instead of the distribution's."
    )
    version: Version | None = Field(
        None, description="The engine package's version. Default: what the repository has."
    )
    compose_version: Version | None = Field(None, description="The compose package's version.")
    registry_mirrors: tuple[Url, ...] = Field(
        (), description="Mirrors that are asked before Docker Hub."
    )
    insecure_registries: tuple[Registry, ...] = Field(
        (), description="Registries (or subnets) that may have no or an unknown certificate."
    )
    logins: tuple[Login, ...] = Field((), description="Registries that ask who one is.")
    images: tuple[BaseImage, ...] = Field(
        (), description="Base images made in the guest, for where no registry can be reached."
    )
    log_max_mb: int = Field(10, ge=1, description="A container's log is turned at this size.")
    log_files: int = Field(3, ge=1, le=1000, description="How many of its logs are kept.")
    storage_driver: Literal["overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs"] | None = Field(
        None, description="Default: overlay where the guest's storage bears it, else over FUSE."
    )
    address_pools: tuple[AddressPool, ...] = Field(
        (), description="Default: Docker's own, which take much of 172.16.0.0/12."
    )
    live_restore: bool = Field(
        True, description="Containers go on while the engine is restarted or upgraded."
    )
    data_root: AbsolutePath | None = Field(
        None, description="Where images and volumes are kept (a volume); else /var/lib/docker."
    )
    settings: dict[str, Any] = Field({}, description="Any other setting of daemon.json.")
