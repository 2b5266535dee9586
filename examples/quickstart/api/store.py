"""The projects in PostgreSQL: migrations at the start, then queries. SQL lives here and only here.

The connection's address and login come from libpq's own environment variables (PGHOST, PGUSER, …).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

# Characters that no text holds (Unicode's private use area), to find the snippet's matches again.
OPEN, CLOSE = "\ue000", "\ue001"
_HEADLINE = (
    f"StartSel={OPEN}, StopSel={CLOSE}, MaxWords=32, MinWords=16, MaxFragments=2, "
    'FragmentDelimiter=" … "'
)
_ADD = """
insert into projects (title, summary, url, tags)
values (%(title)s, %(summary)s, %(url)s, %(tags)s)
returning id, title, summary, url, tags, created_at
"""
_GET = "select id, title, summary, url, tags, created_at from projects where id = %s"
# The left join answers with the total even where the page is empty.
_LIST = """
with found as (
    select id, title, summary, url, tags, created_at from projects
    where %(tag)s::text is null or tags @> array[%(tag)s::text]
), page as (
    select * from found order by created_at desc, id desc limit %(limit)s offset %(offset)s
)
select (select count(*) from found) as total, page.*
from (select) as once left join page on true order by created_at desc, id desc
"""
# What the reader typed, as on a search engine's page; or words that begin with it, since people
# look at results while they type.
_SEARCH = """
with asked as (
    select websearch_to_tsquery('english', %(text)s) || to_tsquery('english', %(prefix)s) as query
), found as (
    select id, title, summary, url, tags, created_at, query, ts_rank_cd(search, query) as rank
    from projects, asked
    where search @@ query and (%(tag)s::text is null or tags @> array[%(tag)s::text])
), page as (
    select * from found order by rank desc, id desc limit %(limit)s offset %(offset)s
)
select (select count(*) from found) as total, page.*,
    ts_headline('english', summary, query, %(headline)s) as snippet
from (select) as once left join page on true order by rank desc, id desc
"""
_TAGS = """
select tag, count(*) as projects from projects, unnest(tags) as tag
group by tag order by projects desc, tag limit 50
"""
_LOCK = 0x70_6F_72_74  # one number for all instances: only one of them migrates


@dataclass(frozen=True, slots=True)
class Found:
    """A page of projects, and how many there are on all pages."""

    total: int
    projects: list[dict[str, Any]]


class TitleTaken(Exception):
    """There is a project of that title."""


class Store:
    """All that the service asks of the database."""

    def __init__(self) -> None:
        self.pool = AsyncConnectionPool(
            min_size=1,
            max_size=8,
            timeout=5,
            open=False,
            kwargs={"row_factory": dict_row, "connect_timeout": 5},
            check=AsyncConnectionPool.check_connection,
        )

    async def open(self) -> None:
        """Connects, and brings the schema up to date."""
        await self.pool.open(wait=True, timeout=30)
        async with self.pool.connection() as connection:
            await migrate(connection)

    async def close(self) -> None:
        """Ends all connections."""
        await self.pool.close()

    async def count(self) -> int:
        """How many projects there are."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute("select count(*) as total from projects")
            row: Any = await cursor.fetchone()
            return int(row["total"])

    async def add(self, values: dict[str, Any]) -> dict[str, Any]:
        """Adds a project and returns its row. Raises `TitleTaken`."""
        try:
            async with self.pool.connection() as connection:
                cursor = await connection.execute(_ADD, values)
                row: Any = await cursor.fetchone()
                return dict(row)
        except UniqueViolation as error:
            raise TitleTaken(values["title"]) from error

    async def get(self, project_id: int) -> dict[str, Any] | None:
        """One project's row."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(_GET, [project_id])
            return await cursor.fetchone()  # type: ignore[return-value]  # the pool's row factory

    async def find(self, text: str, tag: str | None, limit: int, offset: int) -> Found:
        """The newest projects, or those that fit the text, the best first with a snippet each."""
        values = {
            "text": text,
            "prefix": prefix_query(text),
            "headline": _HEADLINE,
            "tag": tag,
            "limit": limit,
            "offset": offset,
        }
        async with self.pool.connection() as connection:
            query = _SEARCH if text.strip() else _LIST
            rows: list[Any] = await (await connection.execute(query, values)).fetchall()
        return Found(int(rows[0]["total"]), [row for row in rows if row["id"] is not None])

    async def tags(self) -> list[dict[str, Any]]:
        """All tags with the number of their projects, the most used first."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(_TAGS)
            return await cursor.fetchall()  # type: ignore[return-value]  # the pool's row factory


def prefix_query(text: str) -> str:
    """Words of a text as a tsquery that all of them begin a word; empty where a quote or a minus
    says that the reader means something else.
    """
    if re.search(r'["-]', text):
        return ""
    return " & ".join(f"{word}:*" for word in re.findall(r"\w+", text))


def snippet_parts(snippet: str) -> list[dict[str, Any]]:
    """A snippet as pieces of text, each with whether it is a match: nobody needs to trust HTML."""
    parts: list[dict[str, Any]] = []
    for number, piece in enumerate(re.split(f"[{OPEN}{CLOSE}]", snippet)):
        if piece:
            parts.append({"text": piece, "match": number % 2 == 1})
    return parts


def migrations(text: str) -> dict[int, str]:
    """The numbered blocks of schema.sql."""
    parts = re.split(r"^-- migration (\d+):.*$", text, flags=re.MULTILINE)
    return {int(number): block for number, block in zip(parts[1::2], parts[2::2], strict=True)}


async def migrate(connection: AsyncConnection[Any]) -> None:
    """Runs the blocks that were not run yet, all in one transaction."""
    blocks = migrations(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        await connection.execute(
            "create table if not exists migrations"
            " (number int primary key, run_at timestamptz not null default now())"
        )
        cursor = await connection.execute("select number from migrations")
        done = {row["number"] for row in await cursor.fetchall()}
        for number, block in sorted(blocks.items()):
            if number not in done:
                await connection.execute(block.encode())
                await connection.execute("insert into migrations (number) values (%s)", [number])
