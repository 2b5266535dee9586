"""The engine's packages, configuration and logins as texts and scripts. Pure."""

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from phoenix_hypervisor.features._docker_options import BaseImage, DockerOptions
from phoenix_hypervisor.model.errors import ConfigureFailed

DAEMON = "/etc/docker/daemon.json"
DATA_ROOT = "/var/lib/docker"
KEYRING = "/etc/apt/keyrings/phoenix-docker.asc"
SOURCES = "/etc/apt/sources.list.d/phoenix-docker.sources"
CLIENT = "/root/.docker/config.json"
OWN_LOGINS = "/etc/phoenix/docker-logins"
MADE_OF = "phoenix.made-of"
_OF_OTHERS = ("runtimes", "default-runtime")
"""What the toolkits of graphics cards write into daemon.json."""

_Names = tuple[str, tuple[str, ...], str]
_DISTRIBUTIONS: dict[tuple[str, str], _Names] = {
    ("debian", "13"): ("docker.io", ("docker-cli",), "docker-compose"),
    ("ubuntu", "24.04"): ("docker.io", (), "docker-compose-v2"),
}
"""The engine, what else it needs, and compose, where the distribution has compose 2 or newer."""

_OF_DOCKER: _Names = (
    "docker-ce",
    ("docker-ce-cli", "containerd.io", "docker-buildx-plugin"),
    "docker-compose-plugin",
)
"""The same in Docker's own repositories."""

PROOF = """\
docker image inspect phoenix/proof >/dev/null 2>&1 || {
    init=$(command -v docker-init || echo /usr/libexec/docker/docker-init)
    tar -C "$(dirname "$init")" -chf - docker-init |
        docker import --change 'ENTRYPOINT ["/docker-init", "--version"]' - phoenix/proof >/dev/null
}
docker run --rm phoenix/proof
"""
"""Runs a container. Its image is made on the spot, of the engine's own static `docker-init`."""


def packages(options: DockerOptions, release: tuple[str, str]) -> list[str]:
    """Debian packages of engine and compose, with their versions where these are pinned.

    Raises `ConfigureFailed` where the distribution has no compose 2.
    """
    if options.repository is not None:
        engine, more, compose = _OF_DOCKER
    elif release in _DISTRIBUTIONS:
        engine, more, compose = _DISTRIBUTIONS[release]
    else:
        known = ", ".join(" ".join(one) for one in _DISTRIBUTIONS)
        raise ConfigureFailed(
            f"{' '.join(release)} has no packages of Docker that are known to work ({known} have)",
            hint="set docker.repository to Docker's own packages for it",
        )
    pinned = f"={options.version}" if options.version else ""
    client = [f"{name}{pinned if name == 'docker-ce-cli' else ''}" for name in more]
    version = f"={options.compose_version}" if options.compose_version else ""
    return [f"{engine}{pinned}", *client, f"{compose}{version}", "ca-certificates"]


def sources_text(options: DockerOptions, codename: str) -> str:
    """The repository as apt reads it (deb822-style, sources.list(5))."""
    repository = options.repository
    if repository is None:
        return ""
    return (
        f"Types: deb\nURIs: {repository.url}\nSuites: {repository.suite or codename}\n"
        f"Components: {repository.component}\nSigned-By: {KEYRING}\n"
    )


def probe_script(data_root: str) -> str:
    """Shell words that print which storage driver the guest bears: `overlay2` where an overlay
    can be mounted on the disk that images go to, `fuse-overlayfs`, or `none`.
    """
    return f"""
at={shlex.quote(data_root)}
while [ ! -d "$at" ]; do at=$(dirname "$at"); done
t=$(mktemp -d -p "$at" .phoenix-XXXXXX)
mkdir "$t/l" "$t/u" "$t/w" "$t/m"
if unshare -m mount -t overlay overlay -o "lowerdir=$t/l,upperdir=$t/u,workdir=$t/w" "$t/m" \
2>/dev/null; then echo overlay2
elif [ -e /dev/fuse ]; then echo fuse-overlayfs
else echo none
fi
rm -rf "$t"
"""


def storage_driver(options: DockerOptions, before: Mapping[str, Any], probed: str) -> str | None:
    """The driver to write down; None: the engine's own choice, which is an overlay.

    One that is written already is kept, since another would hide all images and containers.
    Raises `ConfigureFailed` where the guest bears none that is fit for use.
    """
    wanted = options.storage_driver or before.get("storage-driver")
    if wanted or probed == "overlay2":
        return str(wanted) if wanted else None
    if probed == "fuse-overlayfs":
        return probed
    raise ConfigureFailed(
        "the guest's disk bears no overlay, and there is no /dev/fuse",
        hint='give it a disk on another storage, or set docker.storage_driver to "vfs", which '
        "copies every layer of every image",
    )


def daemon_text(options: DockerOptions, there: str, driver: str | None) -> str:
    """daemon.json. `there` is its text now: what graphics cards' toolkits wrote into it is kept,
    and where it says the same already, so is its form (they write it in their own).
    """
    before = read_json(there)
    words: dict[str, Any] = {key: before[key] for key in _OF_OTHERS if key in before}
    words |= {
        "log-driver": "json-file",
        "log-opts": {"max-size": f"{options.log_max_mb}m", "max-file": str(options.log_files)},
        "live-restore": options.live_restore,
    }
    if driver:
        words["storage-driver"] = driver
    if options.data_root:
        words["data-root"] = options.data_root
    if options.registry_mirrors:
        words["registry-mirrors"] = list(options.registry_mirrors)
    if options.insecure_registries:
        words["insecure-registries"] = list(options.insecure_registries)
    if options.address_pools:
        words["default-address-pools"] = [
            {"base": str(pool.base), "size": pool.size} for pool in options.address_pools
        ]
    wanted = words | options.settings
    return there if wanted == before else json.dumps(wanted, indent=2, sort_keys=True) + "\n"


def read_json(text: str) -> dict[str, Any]:
    """An object of a file; empty where there is none, or nothing that can be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def accept_script(*, vfs: bool) -> str:
    """Shell words that fail where the engine can't live with its files; they restart it."""
    refuse = (
        ""
        if vfs
        else """
if [ "$(docker info --format '{{.Driver}}')" = vfs ]; then
    echo "the engine found no storage driver but vfs, which copies every layer of every image"
    exit 1
fi
"""
    )
    return f"""
dockerd --validate --config-file {DAEMON}
systemctl reset-failed docker.service docker.socket 2>/dev/null || true
systemctl restart docker.service || {{ journalctl -u docker -n 15 --no-pager -o cat; exit 1; }}
{refuse}"""


UNDO = (
    "systemctl reset-failed docker.service docker.socket 2>/dev/null\n"
    "systemctl restart docker.service"
)


def client_text(before: str, own: Sequence[str], logins: Mapping[str, tuple[str, str]]) -> str:
    """The client's config.json with these logins: registry to user and password.

    `own` are the registries that Phoenix wrote into it before; other logins and words stay.
    Raises `ConfigureFailed` for a user with a colon.
    """
    words = read_json(before)
    there = words.get("auths")
    kept = there if isinstance(there, dict) else {}
    auths = {name: value for name, value in kept.items() if name not in own}
    for registry, (username, password) in logins.items():
        if ":" in username:
            raise ConfigureFailed(f"the user of the registry {registry} holds a colon")
        auths[registry] = {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}
    return json.dumps(words | {"auths": auths}, indent=2, sort_keys=True) + "\n"


def image_digest(image: BaseImage, codename: str) -> str:
    """What an image is made of, as 16 hex digits."""
    parts = [codename, *sorted(image.packages)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def image_script(image: BaseImage, codename: str) -> str:
    """Shell words that make a base image of the guest's own package sources (mmdebstrap(1))."""
    include = f"--include={shlex.quote(','.join(image.packages))}" if image.packages else ""
    return f"""
set -e
made=$(mktemp -d -p /var/tmp phoenix-image-XXXXXX)
trap 'rm -rf "$made"' EXIT
sources=$(find /etc/apt/sources.list /etc/apt/sources.list.d -type f \
\\( -name '*.list' -o -name '*.sources' \\) ! -name phoenix-docker.sources -size +0 2>/dev/null)
TMPDIR=$made mmdebstrap --variant=apt {include} --aptopt='APT::Install-Recommends "0"' \
--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
{codename} "$made/root.tar" $sources
docker import --change 'LABEL {MADE_OF}={image_digest(image, codename)}' \
--change 'CMD ["sh"]' "$made/root.tar" {image.tag}
"""
