"""Makes the tables that are missing; runs once, before the API starts."""

import asyncio

from database import connect

TABLES = """
create table if not exists orders (
    id bigint generated always as identity primary key,
    item text not null,
    quantity integer not null check (quantity > 0)
)
"""


async def main() -> None:
    """Runs the statements."""
    connection = await connect()
    await connection.execute(TABLES)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
