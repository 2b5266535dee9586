"""Roll-ups as rows of the measurements' tables `minute` and `hour`."""

import sqlite3

from phoenix_hypervisor.watch.latencies import Latencies
from phoenix_hypervisor.watch.roll_up import RollUp

COLUMNS = "up_s, down_s, planned_s, answers, failed, slow, latencies"


def read_row(row: sqlite3.Row) -> RollUp:
    """What a row holds."""
    return RollUp(
        row["up_s"],
        row["down_s"],
        row["planned_s"],
        row["answers"],
        row["failed"],
        row["slow"],
        Latencies.of(row["latencies"]),
    )


def as_row(part: RollUp) -> tuple[float | str, ...]:
    """What a row is to hold, in the order of `COLUMNS`."""
    return (
        part.up_s,
        part.down_s,
        part.planned_s,
        part.answers,
        part.failed,
        part.slow,
        part.latencies.text(),
    )
