"""Words of backups: jobs, where they go, what is kept, how a restored guest is proven."""

from typing import Annotated, Literal

from pydantic import Field

from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.target import Fingerprint
from phoenix_hypervisor.config.words.values import (
    AbsolutePath,
    GuestId,
    NoComments,
    StorageName,
    Text,
    shaped,
)
from phoenix_hypervisor.model.secret import Secret

Count = Annotated[int, Field(ge=0)]
JobName = Annotated[
    str,
    shaped(
        r"[a-z][a-z0-9-]{0,30}",
        "the name of a job",
        "small letters, digits and - only, at most 31, with a letter first",
    ),
]
Schedule = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9*,./:~ -]+",
        "a schedule",
        'a calendar event, such as "02:30", "mon..fri 21:00" or "sun 03:00"',
    ),
]

BackupHost = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?",
        "the name or address of a server",
        "such as backup.home.lab or 10.0.0.5, without https:// and a port",
    ),
]
DatastoreName = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9_][A-Za-z0-9._-]{2,31}",
        "the name of a datastore",
        "letters, digits and _ . -, 3 to 32 of them",
    ),
]
BackupLogin = Annotated[
    str,
    shaped(
        r"[^\s:/!]+@[A-Za-z0-9._-]+(![A-Za-z0-9._-]+)?",
        "a login of a Proxmox Backup Server",
        "user@realm, as phoenix@pbs, or user@realm!token",
    ),
]
Namespace = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*){0,6}",
        "a namespace of a Proxmox Backup Server",
        "letters, digits and _ . -, with / between one and one in it, at most 7",
    ),
]


class Retention(Words):
    """How many backups of each guest stay; where nothing is said, all of them."""

    last: Count | None = Field(None, description="So many of the newest.")
    hourly: Count | None = Field(None, description="The newest of so many hours.")
    daily: Count | None = Field(None, description="The newest of so many days.")
    weekly: Count | None = Field(None, description="The newest of so many weeks.")
    monthly: Count | None = Field(None, description="The newest of so many months.")
    yearly: Count | None = Field(None, description="The newest of so many years.")


class Job(Words):
    """A backup job."""

    guests: Annotated[list[GuestId] | None, Field(min_length=1)] = Field(
        None, description="Ids of its guests; all where missing."
    )
    schedule: Schedule | None = Field(
        None, description="When, as a calendar event: `02:30`, `sun 03:00`; by hand where missing."
    )
    storage: StorageName | None = Field(
        None,
        description="The storage of Proxmox VE that it writes to, such as a Proxmox Backup Server.",
    )
    mode: Literal["snapshot", "suspend", "stop"] = Field(
        "snapshot",
        description="`snapshot` (the guest goes on), `suspend` (it pauses) or `stop` (it stops, "
        "and starts again).",
    )
    compress: Literal["zstd", "gzip", "lzo", "none"] = Field(
        "zstd", description="`zstd`, `gzip`, `lzo` (on Proxmox VE only) or `none`."
    )
    keep: Retention = Field(default_factory=Retention, description="What is kept.")
    notes: Text | None = Field(
        None, description="Notes on each backup, as `{{guestname}}` on Proxmox VE."
    )
    enabled: bool = Field(True, description="Whether it runs.")


class BackupServer(Words):
    """A Proxmox Backup Server."""

    server: BackupHost = Field(description="Its name or address.")
    datastore: DatastoreName = Field(description="The datastore on it.")
    username: BackupLogin = Field(
        description="Who logs in: a user, as `phoenix@pbs`, or a token, as `phoenix@pbs!home`."
    )
    password: Secret = Field(
        description='The password or the token\'s secret, as `{"secret": "NAME"}`.'
    )
    fingerprint: Fingerprint | None = Field(
        None, description="The SHA-256 fingerprint of its certificate, where no CA vouches for it."
    )
    namespace: Namespace | None = Field(None, description="The namespace in the datastore.")
    port: Annotated[int | None, Field(ge=1, le=65535)] = Field(
        None, description="Its port, where it is not 8007."
    )


class Backups(Words):
    """Backups of guests."""

    folder: AbsolutePath | None = Field(
        None, description="On Incus: the folder that `phoenix backup run` writes to."
    )
    jobs: Annotated[dict[JobName, Job], NoComments] = Field(
        default_factory=dict, description="Jobs, each under its name."
    )
    servers: Annotated[dict[StorageName, BackupServer], NoComments] = Field(
        default_factory=dict,
        description="Proxmox Backup Servers, each under the name of the storage that it becomes.",
    )
    verify_checks: Annotated[dict[GuestId, list[Text]], NoComments] = Field(
        default_factory=dict,
        description="Guest's id to names of checks that prove a restored one; all where missing.",
    )
    spare_id: int = Field(
        9900, ge=100, le=999_999_900, description="The first id that a restored guest may have."
    )
