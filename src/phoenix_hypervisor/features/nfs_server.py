"""The kernel's NFS server: folders shared with other Linux machines."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from phoenix_hypervisor.features._shared_folder import shared_folder
from phoenix_hypervisor.model import share_words
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import NOTE, Feature, FeatureOptions, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen

EXPORTS = "/etc/exports.d/phoenix.exports"
# Where they lie until their end is done: exportfs reads only files named *.exports.
_ENDING = "/etc/exports.d/phoenix.ending"
_HEAD = "# Made by Phoenix from the files; changes made by hand are overwritten.\n"
# Other exports stand in /etc/exports and in files beside ours (exports(5)); they stay.
_ACCEPT = 'said=$(exportfs -ra 2>&1) || { echo "$said"; exit 1; }'
# `-n` only tells whether the module could be loaded: looking loads none.
_CAN_SERVE = (
    "{ grep -qw nfsd /proc/filesystems || modprobe -n -q nfsd; } 2>/dev/null && echo yes || true"
)


class Export(FeatureOptions):
    """One shared folder."""

    path: Annotated[str, AfterValidator(share_words.export_path)] = Field(
        description="The folder; made where it is missing."
    )
    clients: tuple[Annotated[str, AfterValidator(share_words.nfs_client)], ...] = Field(
        min_length=1,
        description="Who may mount it: addresses, subnets, host names, or `*` for all.",
    )
    options: tuple[Annotated[str, AfterValidator(share_words.nfs_option)], ...] = Field(
        (), description="As in `/etc/exports`: `rw`, `no_root_squash`, …"
    )


class NfsServerOptions(FeatureOptions):
    """Options of `nfs_server`."""

    exports: tuple[Export, ...] = Field((), description="Shared folders.")


class NfsServer(Feature[NfsServerOptions]):
    """The NFS server of the kernel, with a file of exports beside those that others made."""

    name = "nfs_server"
    keeps = "shared files"
    options = NfsServerOptions
    units = ("nfs-server.service",)
    host_files = (EXPORTS, _ENDING)

    def flaws(self, options: NfsServerOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """An unprivileged container, which may not use the kernel's server."""
        if guest.kind == "lxc" and guest.unprivileged:
            hint = "share it from the host (`nfs` of the hypervisor file) or a virtual machine"
            return [Flaw("an unprivileged container can't run the kernel's NFS server", hint=hint)]
        return ()

    def listens(
        self, options: NfsServerOptions, guest: Guest, desired: Desired
    ) -> Sequence[Listen]:
        """NFS's own port."""
        return (Listen(2049),)

    def checks(self, options: NfsServerOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """The port answers inside."""
        return ({"tcp": {"port": 2049, "from": "inside"}},)

    def for_host(self, desired: Desired) -> NfsServerOptions | None:
        """From `nfs` of the hypervisor file; an export without clients is shared with nobody."""
        exports = [
            {"path": export.path, "clients": export.clients, "options": export.options}
            for export in desired.host.setup.shares.exports
            if export.clients
        ]
        return NfsServerOptions.model_validate({"exports": exports}) if exports else None

    def leave_host_script(self) -> str:
        """The server goes on where it serves exports that others made.

        One that fails is known by its file, and tried again.
        """
        return f"""\
! head -n 1 {EXPORTS} 2>/dev/null | grep -q '{NOTE}' || mv {EXPORTS} {_ENDING} || exit 1
(
command -v exportfs >/dev/null || exit 0
exportfs -ra || exit 1
[ -z "$(exportfs -s)" ] || exit 0
{self.leave_script()}) || exit 1
rm -f {_ENDING}
"""

    def deploy(self, options: NfsServerOptions, inside: Inside) -> None:
        """Folders, exports if exportfs takes them, then the server."""
        from phoenix_hypervisor.features import _system
        from phoenix_hypervisor.features._take import NewFile, take

        _system.install("nfs-kernel-server")
        for path in dict.fromkeys(export.path for export in options.exports):
            shared_folder(path)
        _system.folder("/etc/exports.d")
        take(
            "list of NFS exports",
            [NewFile(EXPORTS, text(options))],
            accept=_ACCEPT,
            undo="exportfs -ra",
        )
        if not _system.ask(_CAN_SERVE):
            raise ConfigureFailed(
                "this kernel has no NFS server (nfsd), so that nothing is shared over NFS",
                hint="it needs a kernel with the module nfsd: a Proxmox VE node or a virtual "
                "machine has it, a container has not; the exports are written and tested",
            )
        _system.service("nfs-server")


def text(options: NfsServerOptions) -> str:
    """The file, one line for each folder (exports(5))."""
    return _HEAD + "".join(f"{_line(export)}\n" for export in options.exports)


def _line(export: Export) -> str:
    path = f'"{export.path}"' if " " in export.path or "#" in export.path else export.path
    told = f"({','.join(export.options)})" if export.options else ""
    return " ".join([path, *(f"{client}{told}" for client in export.clients)])
