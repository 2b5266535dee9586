"""Backups: guests that are there, a place to write to, checks that a guest has."""

from collections.abc import Iterator

from phoenix_hypervisor.config import told
from phoenix_hypervisor.config.desire.hosts.storage import storage_id
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Jobs without a place, and what they name that isn't in the files."""
    spot = folder.spot(HYPERVISOR)
    said = folder.host.backups
    for name, job in said.jobs.items():
        place = ("backups", "jobs", name)
        if folder.driver == "proxmox" and job.storage is None:
            message = f"the job `{name}` does not say where its backups go"
            yield spot.error(place, message, 'add "storage": "…"', key=True)
        if folder.driver == "incus" and said.folder is None:
            message = f"the job `{name}` has no place for its backups"
            yield spot.error(place, message, 'add "folder": "/…" to `backups`', key=True)
        if folder.driver == "incus" and job.compress == "lzo":
            yield spot.error(
                (*place, "compress"), "`lzo` is Proxmox VE's only", "zstd is smaller and quicker"
            )
        if folder.knows_all_guests:
            for index, ident in enumerate(job.guests or ()):
                if folder.guest(ident) is None:
                    message = f"the job `{name}` names {ident}, which is not in the files"
                    yield spot.error((*place, "guests", index), message, "remove it, or add it")
    yield from _servers(folder)
    if folder.knows_all_guests:
        yield from _checks(folder)


def _servers(folder: Folder) -> Iterator[Problem]:
    spot = folder.spot(HYPERVISOR)
    datasets = [one for one in folder.host.zfs.datasets if one.proxmox_storage_type is not None]
    taken = {storage_id(one) for one in datasets}
    for name in folder.host.backups.servers:
        if name in taken:
            message = f"the storage `{name}` is already that of a dataset"
            yield spot.error(
                ("backups", "servers", name), message, "name the server otherwise", key=True
            )


def _checks(folder: Folder) -> Iterator[Problem]:
    spot = folder.spot(HYPERVISOR)
    for ident, titles in folder.host.backups.verify_checks.items():
        place = ("backups", "verify_checks", str(ident))
        guest = folder.guest(ident)
        if guest is None:
            yield spot.error(place, f"there is no guest {ident}", "remove the line", key=True)
            continue
        own = [check.title for check in guest.checks]
        for index, title in enumerate(titles):
            # A feature's own check has a name that the files don't tell.
            if title not in own and not guest.features:
                hint = told.did_you_mean(title, own, "names stand in `checks`")
                message = f"{guest.label} has no check `{title}`"
                yield spot.error((*place, index), message, hint)
