"""What the host shares with the network: NFS and SMB, as wanted."""

from phoenix_hypervisor.config.desire.hosts.storage import storage
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.host.shares import NfsExport, Samba, SambaShare, SambaUser, Shares
from phoenix_hypervisor.model.host.storage import Storage


def shares(folder: Folder) -> Shares:
    """What the hypervisor file says of it."""
    nfs, samba = folder.host.nfs, folder.host.samba
    disks = storage(folder) if samba.shares else Storage()
    return Shares(
        exports=tuple(
            NfsExport(export.path, tuple(export.clients), tuple(export.options))
            for export in nfs.exports
        ),
        samba=Samba(
            user=samba.user,
            workgroup=samba.workgroup,
            users=tuple(SambaUser(name, user.password) for name, user in samba.users.items()),
            shares=tuple(
                SambaShare(
                    name=share.name,
                    path=mounted_at(share.path, disks),
                    options=tuple(share.options.items()),
                    valid_users=tuple(share.valid_users),
                    dataset=None if share.path.startswith("/") else share.path,
                )
                for share in samba.shares
            ),
            settings=tuple(samba.settings.items()),
        ),
    )


def mounted_at(path: str, disks: Storage) -> str:
    """An absolute path as it is; else the mount point of the dataset (or a folder in it).

    ZFS mounts a dataset below its pool, if no property `mountpoint` says something else. A pool
    that the files don't name has its usual place, `/<name>` (zfsprops(7)).
    """
    if path.startswith("/"):
        return path
    roots = {pool.name: pool.root for pool in disks.pools}
    for dataset in sorted(disks.datasets, key=lambda one: -len(one.path)):
        own = dataset.properties.get("mountpoint", "")
        if own.startswith("/") and f"{path}/".startswith(f"{dataset.path}/"):
            return own + path.removeprefix(dataset.path)
    pool, slash, rest = path.partition("/")
    return roots.get(pool, f"/{pool}") + slash + rest
