"""What Phoenix's token has to be allowed, and why: for the plan, the doctor and the documentation.

Source: the Proxmox VE documentation, "Permission Management", and each endpoint's own check.
"""

from collections.abc import Mapping

USER = "phoenix@pve"
TOKEN = "phoenix@pve!phoenix"  # noqa: S105 - its name, no secret

PRIVILEGES: Mapping[str, str] = {
    "Datastore.AllocateSpace": "disks and volumes of guests on the storages",
    "Datastore.AllocateTemplate": "templates and images are downloaded to a storage",
    "Datastore.Audit": "which storages there are, their room and their templates",
    "Mapping.Use": "PCI cards given to virtual machines by a mapping",
    "SDN.Use": "guests' cards on the bridges",
    "Sys.AccessNetwork": "templates and images from a web address",
    "Sys.Audit": "nodes, the cluster's state, the HA manager's",
    "VM.Allocate": "guests are made and removed; nesting",
    "VM.Audit": "guests are looked at",
    "VM.Clone": "guests are cloned from one another",
    "VM.Config.CPU": "cores",
    "VM.Config.Cloudinit": "users, keys and addresses of virtual machines",
    "VM.Config.Disk": "disks, volumes and their sizes",
    "VM.Config.HWType": "the hardware of virtual machines, PCI cards",
    "VM.Config.Memory": "memory and swap",
    "VM.Config.Network": "cards, addresses, names, the firewall",
    "VM.Config.Options": "marks, start order, protection",
    "VM.GuestAgent.Audit": "the addresses of virtual machines with DHCP",
    "VM.Migrate": "guests move to the node that the files name",
    "VM.PowerMgmt": "guests are started and stopped",
    "VM.Snapshot": "snapshots, and going back to them",
}
"""Privilege -> what it is for. All of them on `/`, by one role."""

BASE: tuple[str, ...] = tuple(PRIVILEGES)
"""The role's privileges."""

ON_DEMAND: Mapping[str, str] = {
    "Datastore.Allocate": "`phoenix backup run` of a job with `keep`, storages on datasets of the "
    "host (`proxmox_storage_type`), Proxmox Backup Servers (`backups`)",
    "Sys.Console": "guests under the HA manager (`ha`)",
    "Sys.Modify": "privileged containers (`unprivileged`: false), start order of virtual machines, "
    "backup jobs (`backups`)",
    "VM.Backup": "`phoenix backup run` and `phoenix backup verify`",
    "VM.GuestAgent.Unrestricted": "`phoenix backup verify` of virtual machines, whose checks are "
    "asked by their guest agent",
}
"""What only some folders need, on `/`: not in the role; a plan that needs it says so."""

OLD_NAMES: Mapping[str, str] = {
    "VM.GuestAgent.Audit": "VM.Monitor",
    "VM.GuestAgent.Unrestricted": "VM.Monitor",
}
"""What Proxmox VE 8 has in place of a privilege of 9."""
