"""The target, and what guests need to know of the host."""

import shlex
from typing import Literal

from phoenix_hypervisor.config.desire.hosts import setup
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.words.hypervisor import Ssh
from phoenix_hypervisor.model.desired import (
    Capacity,
    Gpu,
    Host,
    HostUser,
    Json,
    NvidiaDriver,
    Target,
)

DRIVERS: dict[str, Literal["proxmox", "incus", "sim"]] = {
    "proxmox": "proxmox",
    "incus": "incus",
    "sim": "sim",
}


def target(folder: Folder) -> Target:
    """Where the stack lives; the command line's `--on` goes before the file's `driver`."""
    words = folder.host.hypervisor
    return Target(
        driver=DRIVERS.get(folder.driver or ""),
        endpoint=words.endpoint,
        node=words.node,
        token_id=words.token_id,
        token_secret=words.token_secret,
        verify_tls=words.verify_tls,
        ca_file=words.ca_file,
        project=words.project,
        ssh=_ssh(words.ssh),
        fingerprint=words.fingerprint,
        username=words.username,
        password=words.password,
        requests=words.requests,
    )


def _ssh(words: Ssh) -> dict[str, Json]:
    told: dict[str, Json] = {
        "host": words.host,
        "hosts": dict(words.hosts) or None,
        "port": words.port,
        "user": words.user,
        "identity_file": words.identity_file,
        "known_hosts": words.known_hosts,
        "config_file": words.config_file,
        "command": shlex.join(words.command) if words.command else None,
    }
    return {word: value for word, value in told.items() if value is not None}


def host(folder: Folder) -> Host:
    """The host's domain, time zone, people, cards and capacity."""
    words = folder.host
    capacity = words.hypervisor.capacity
    return Host(
        domain=words.domain_name,
        timezone=words.timezone,
        users=tuple(
            HostUser(
                username=user.username or key,
                sudo=user.sudo_access,
                password_hash=user.password_hash,
                ssh_keys=tuple(user.ssh_public_key),
            )
            for key, user in words.users.items()
        ),
        gpus=None
        if words.gpus is None
        else tuple(
            Gpu(gpu.index, gpu.name, gpu.memory_mb, gpu.pci, gpu.mapping) for gpu in words.gpus
        ),
        capacity=Capacity(capacity.memory_mb, capacity.cores, capacity.storage_gb),
        nvidia=_nvidia(folder),
        setup=setup(folder),
    )


def _nvidia(folder: Folder) -> NvidiaDriver:
    """The host's own words go before those of the containers' file."""
    driver, lxc = folder.host.nvidia_driver, folder.lxc
    return NvidiaDriver(
        version=driver.version or lxc.nvidia_driver_version,
        runfile_url=driver.runfile_url or lxc.nvidia_runfile_url,
        repo_url=lxc.nvidia_repo_url,
    )
