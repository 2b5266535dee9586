"""Where Proxmox VE's packages come from: with a subscription or without one."""

import shlex
from typing import Literal

from pydantic import Field

from phoenix_hypervisor.features._deb_sources import Source, changed, is_proxmox, listed
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import ConfigureFailed, Unsupported
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Inside

_READ = (
    "for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list"
    ' /etc/apt/sources.list.d/*.sources; do [ -f "$f" ] && echo "==> $f" && cat "$f"; done; true'
)
_KEYS = (
    "/usr/share/keyrings/proxmox-archive-keyring.gpg",
    "/etc/apt/trusted.gpg.d/proxmox-release-{}.gpg",
)


class PackageSourcesOptions(FeatureOptions):
    """Options of `package_sources`."""

    proxmox: Literal["no-subscription", "enterprise"] = Field(
        "no-subscription", description="Which of Proxmox VE's repositories are used."
    )


class PackageSources(Feature[PackageSourcesOptions]):
    """Proxmox VE's package sources. Debian's and all others are left alone."""

    name = "package_sources"
    host_only = True
    options = PackageSourcesOptions
    host_turn = 5

    def for_host(self, desired: Desired) -> PackageSourcesOptions | None:
        """From `system.repositories` of the hypervisor file."""
        wanted = desired.host.setup.system.repositories
        return PackageSourcesOptions(proxmox=wanted) if wanted else None

    def deploy(self, options: PackageSourcesOptions, inside: Inside) -> None:
        """All files at once, if apt can live with them."""
        from phoenix_hypervisor.features import _system
        from phoenix_hypervisor.features._take import NewFile, take

        there = listed(_system.ask(_READ))
        if not is_proxmox(there) and not _system.ask("test -d /etc/pve && echo yes || true"):
            raise Unsupported(
                "package_sources chooses Proxmox VE's repositories, and this machine is no "
                "Proxmox VE node"
            )
        codename = _system.ask('. /etc/os-release && echo "$VERSION_CODENAME"')
        keys = [path.format(codename) for path in _KEYS]
        found = _system.ask(f"ls {shlex.join(keys)} 2>/dev/null || true").split()
        if not found:
            raise ConfigureFailed(
                "Proxmox VE's key for packages is not here",
                hint=f"one of {' and '.join(keys)}; the package proxmox-archive-keyring has it",
            )
        wanted = Source(options.proxmox, codename, found[0])
        new = changed(there, wanted)
        take(
            "list of package sources",
            [NewFile(path, content) for path, content in new.items()],
            accept=f"apt-get indextargets >/dev/null\napt-get {_system.APT_PATIENCE} update",
            undo=f"apt-get {_system.APT_PATIENCE} update",
        )
