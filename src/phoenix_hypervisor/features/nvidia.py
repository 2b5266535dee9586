"""NVIDIA's user space in a container: the same version as the host's kernel module, which it uses.

It can't be run without a card: what decides is tested as text and against doubles.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from phoenix_hypervisor.features import _fetch
from phoenix_hypervisor.features import _nvidia_parts as parts
from phoenix_hypervisor.features._words import PackageName
from phoenix_hypervisor.model import nvidia as driver
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, Inside

DriverVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)+$")]
TOOLKIT = "https://nvidia.github.io/libnvidia-container"


class NvidiaOptions(FeatureOptions):
    """Options of `nvidia`. Nothing has to be given: the host tells its version."""

    version: DriverVersion | None = Field(
        None,
        description="Of the driver. Default: `nvidia_driver.version` of the hypervisor file, else "
        "what the host's kernel says.",
    )
    source: Literal["runfile", "packages"] = Field(
        "runfile", description="NVIDIA's installer, or packages of exactly that version."
    )
    runfile_url: _fetch.WebAddress | None = Field(
        None,
        description="Where the installer comes from; `{version}` stands for the version. Default: "
        "`nvidia_driver.runfile_url` of the hypervisor file, else NVIDIA's own address.",
    )
    checksum: _fetch.Checksum | None = Field(None, description="The installer's: `sha256:…`.")
    repository: _fetch.WebAddress | None = Field(
        None,
        description="A repository of NVIDIA's with the packages. Default: `nvidia_repo_url` of the "
        "containers' file, else the guest's own sources.",
    )
    packages: tuple[PackageName, ...] = Field(
        (), description="Names of the packages. Default: those that CUDA needs, and nvidia-smi."
    )
    toolkit: bool | None = Field(
        None, description="The toolkit for Docker in the guest. Default: where it has `docker`."
    )
    toolkit_package: PackageName = Field(
        "nvidia-container-toolkit", description="Its package, optionally with a version."
    )
    toolkit_repository: _fetch.WebAddress | Literal["none"] = Field(
        TOOLKIT, description="Where that comes from; `none`: from the guest's own sources."
    )


class Nvidia(Feature[NvidiaOptions]):
    """User space without kernel module, and the container toolkit where Docker runs inside."""

    name = "nvidia"
    options = NvidiaOptions

    def flaws(self, options: NvidiaOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Another version than the host's, and guests with a kernel of their own."""
        return list(_flaws(options, guest, desired))

    def inputs(self, options: NvidiaOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        """What the files say of the driver, and the names of the guest's cards."""
        names = {gpu.index: gpu.name for gpu in desired.host.gpus or ()}
        told = desired.host.nvidia
        return {
            "version": options.version or told.version,
            "runfile_url": options.runfile_url or told.runfile_url or driver.RUNFILE,
            "repository": options.repository or told.repo_url,
            "cards": [names.get(index, "") for index in sorted(guest.gpus)],
            "docker": any(use.name == "docker" for use in guest.features),
        }

    def checks(self, options: NvidiaOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """The cards are those that the files give to the guest."""
        if not guest.gpus:
            return ()
        return ({"command": {"name": "nvidia-smi", "command": f"sh {parts.CARDS}"}},)

    def deploy(self, options: NvidiaOptions, inside: Inside) -> None:
        """Installs what is missing; what is there in the right version is left alone."""
        from phoenix_hypervisor.features import _system

        version = _version(inside)
        _devices(inside.guest)
        if driver.library_version(_system.ask(driver.ASK_LIBRARY)) != version or not _has_smi():
            if options.source == "runfile":
                _from_runfile(options, version, inside)
            else:
                _from_packages(options, version, inside)
        _system.folder("/etc/phoenix")
        _system.folder(parts.CARDS.rpartition("/")[0])
        _system.text_file(parts.EXPECTED, parts.expected_text(inside.inputs["cards"]))
        _system.text_file(parts.CARDS, parts.CARDS_SCRIPT)
        docker = inside.inputs["docker"]
        if options.toolkit or (options.toolkit is None and docker):
            _toolkit(options, docker=docker)


def _flaws(options: NvidiaOptions, guest: Guest, desired: Desired) -> Iterator[Flaw]:
    host = desired.host.nvidia.version
    if guest.kind == "vm":
        yield Flaw(
            f"`nvidia` is for containers, which use the host's kernel module; {guest.name} is a "
            "virtual machine and needs a whole driver of its own",
            hint="take it out of `features`, and install the driver there with base_setup.packages",
        )
    if options.version and host and options.version != host:
        yield Flaw(
            f"{guest.name} is to get NVIDIA's driver {options.version}, but the host has {host}: "
            "they must be equal",
            ("version",),
            hint="take it out: the host's version is read",
        )
    version = options.version or host
    found = parts.version_in_url(options.runfile_url or "")
    if version and found and found != version:
        yield Flaw(
            f"this installer is of version {found}, but the driver is {version}",
            ("runfile_url",),
            hint="write {version} where the version stands in it",
        )


def _version(inside: Inside) -> str:
    """The version to install. Raises `ConfigureFailed` where files and host don't agree."""
    from phoenix_hypervisor.features import _system

    live = driver.live_version(_system.ask(f"cat {driver.LIVE} 2>/dev/null || true"))
    told: str | None = inside.inputs["version"]
    if live is None and (inside.guest.gpus or told is None):
        raise ConfigureFailed(
            f"the kernel of {inside.guest.name}'s host has no NVIDIA driver loaded: there is no "
            f"{driver.LIVE}",
            hint="install the driver on the host and load it: modprobe nvidia",
        )
    if live is not None and told is not None and live != told:
        raise ConfigureFailed(
            f"the files say that NVIDIA's driver is {told}, but the host runs {live}",
            hint="mend nvidia_driver.version (or take it out: the host is asked), or install "
            f"{told} on the host",
        )
    return str(live or told)


def _devices(guest: Guest) -> None:
    """Raises `ConfigureFailed` where a device is missing that the guest needs for its cards."""
    from phoenix_hypervisor.features import _system

    if not guest.gpus:
        return
    wanted = [*(f"/dev/nvidia{index}" for index in guest.gpus), *parts.SHARED]
    tests = "; ".join(f"test -c {path} || echo {path}" for path in wanted)
    missing = _system.ask(tests).split()
    if missing:
        raise ConfigureFailed(
            f"{guest.name} lacks {', '.join(missing)}",
            hint="on the host: nvidia-modprobe -u -c=0; then restart the guest, which gets its "
            "devices when it starts",
        )


def _has_smi() -> bool:
    from phoenix_hypervisor.features import _system

    return _system.ask("command -v nvidia-smi >/dev/null && echo there || true") == "there"


def _from_runfile(options: NvidiaOptions, version: str, inside: Inside) -> None:
    from phoenix_hypervisor.features import _system

    url = str(inside.inputs["runfile_url"]).replace("{version}", version)
    named = parts.version_in_url(url)
    if named is not None and named != version:
        raise ConfigureFailed(
            f"{url} is the installer of {named}, but the host runs {version}",
            hint="write {version} where the version stands in the address",
        )
    _system.install("kmod", "xz-utils")
    runfile = f"/var/cache/phoenix/nvidia-{version}.run"
    _fetch.download(f"NVIDIA's driver {version}", url, runfile, checksum=options.checksum)
    _system.run(f"Install NVIDIA's user space {version}", parts.runfile_script(runfile))


def _from_packages(options: NvidiaOptions, version: str, inside: Inside) -> None:
    from phoenix_hypervisor.features import _system

    distribution = _system.os_release()[0]
    repository = inside.inputs["repository"]
    if repository:
        base = str(repository).rstrip("/")
        _source(
            "phoenix-nvidia",
            f"{base}/cuda-archive-keyring.gpg",
            f"deb [signed-by={{key}}] {base}/ /",
        )
    names = options.packages or parts.usual_packages(distribution, version)
    pinned = []
    for name in names:
        said = _system.ask(f"apt-cache madison {name} 2>/dev/null || true")
        found = parts.fitting(said, name, version)
        if found is None:
            there = sorted(
                {line.split("|")[1].strip() for line in said.splitlines() if "|" in line}
            )
            raise ConfigureFailed(
                f"no source of {inside.guest.name} has {name} of version {version}; there is: "
                f"{', '.join(there) or 'none'}",
                hint="name a repository that has it (nvidia.repository), or take the installer "
                '("source": "runfile")',
            )
        pinned.append(f"{name}={found}")
    _system.run(f"Install NVIDIA's user space {version}", parts.packages_script(pinned))


def _source(name: str, key_url: str, line: str) -> None:
    """Adds a package source, where it isn't there or another one."""
    from phoenix_hypervisor.features import _system

    _system.install("python3", "ca-certificates")
    there = _system.ask(f"cat /etc/apt/sources.list.d/{name}.list 2>/dev/null || true")
    wanted = line.partition("] ")[2]
    if not there.strip().endswith(wanted):
        _system.run(f"Add the package source {name}", parts.source_script(name, key_url, line))


def _toolkit(options: NvidiaOptions, *, docker: bool) -> None:
    """Makes Docker in the guest give cards to its containers."""
    from phoenix_hypervisor.features import _system

    if options.toolkit_repository != "none":
        base = options.toolkit_repository.rstrip("/")
        architecture = _system.ask("dpkg --print-architecture") or "amd64"
        line = f"deb [signed-by={{key}}] {base}/stable/deb/{architecture} /"
        _source("phoenix-nvidia-toolkit", f"{base}/gpgkey", line)
    _system.install(options.toolkit_package)
    said = _system.ask(f"grep -E '^ *no-cgroups *= *true' {parts.RUNTIME} 2>/dev/null || true")
    if not said:
        _system.run("Let the toolkit leave control groups alone", parts.TOOLKIT_SCRIPT)
    if docker and not _system.ask(f"grep -s nvidia-container-runtime {parts.DAEMON} || true"):
        _system.run("Tell Docker of NVIDIA's runtime", parts.DOCKER_SCRIPT)
