"""Backup jobs and what they keep, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.replicas import named
from phoenix_hypervisor.config.words import host_backups as words
from phoenix_hypervisor.model.host.backups import BackupJob, Backups, BackupServer, Keep


def backups(folder: Folder) -> Backups:
    """What the hypervisor file says of it. Guests that are not there are told elsewhere."""
    said = folder.host.backups
    checks = {
        address: tuple(titles)
        for ident, titles in said.verify_checks.items()
        for address in named(folder, [ident])
    }
    return Backups(
        folder=said.folder,
        jobs=tuple(_job(folder, name, job) for name, job in said.jobs.items()),
        checks=checks,
        spare_id=said.spare_id,
        servers=tuple(_server(name, one) for name, one in said.servers.items()),
    )


def _server(name: str, said: words.BackupServer) -> BackupServer:
    return BackupServer(
        id=name,
        server=said.server,
        datastore=said.datastore,
        username=said.username,
        password=said.password,
        fingerprint=said.fingerprint,
        namespace=said.namespace,
        port=said.port,
    )


def _job(folder: Folder, name: str, said: words.Job) -> BackupJob:
    keep = said.keep
    return BackupJob(
        name=name,
        guests=None if said.guests is None else named(folder, said.guests),
        schedule=said.schedule,
        storage=folder.host.proxmox_storage_ids.get(said.storage or "", said.storage),
        mode=said.mode,
        compress=said.compress,
        keep=Keep(keep.last, keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.yearly),
        notes=said.notes,
        enabled=said.enabled,
    )
