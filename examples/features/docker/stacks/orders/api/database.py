"""The way to the database: its password is a file that compose mounts, and in no environment."""

import os
from pathlib import Path

import asyncpg

PASSWORD = Path("/run/secrets/db_password")


async def connect() -> asyncpg.Connection:
    """A connection to the guest that the stack's variable names."""
    return await asyncpg.connect(
        host=os.environ["DB_HOST"],
        user="orders",
        database="orders",
        password=PASSWORD.read_text(),
        timeout=5,
    )
