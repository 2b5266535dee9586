"""Words of backups: jobs, where they go, what is kept, how a restored guest is proven."""

from typing import Annotated, Literal

from pydantic import Field

from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.values import (
    AbsolutePath,
    GuestId,
    NoComments,
    StorageName,
    Text,
    shaped,
)

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


class Backups(Words):
    """Backups of guests."""

    folder: AbsolutePath | None = Field(
        None, description="On Incus: the folder that `phoenix backup run` writes to."
    )
    jobs: Annotated[dict[JobName, Job], NoComments] = Field(
        default_factory=dict, description="Jobs, each under its name."
    )
    verify_checks: Annotated[dict[GuestId, list[Text]], NoComments] = Field(
        default_factory=dict,
        description="Guest's id to names of checks that prove a restored one; all where missing.",
    )
    spare_id: int = Field(
        9900, ge=100, le=999_999_900, description="The first id that a restored guest may have."
    )
