"""What the projects mean: their embeddings in PostgreSQL, and the projects that fit a question.

SQL alone finds them: neighbours of the question's vector and full-text matches, joined by the sum
of their reciprocal ranks (Cormack, Clarke and Büttcher 2009), since each finds what the other
misses.
"""

import asyncio
from typing import Any

from models import Models, ModelsAway
from psycopg import Error
from store import Store

SOURCES = 2
"""How many projects a small model can read at once without mixing them up."""
_FILL_S = 5.0
_BATCH = 16
_MISSING = (
    "select id, title, summary, tags from projects where embedding is null order by id limit %s"
)
_FILL = "update projects set embedding = %s::vector where id = %s"
_FITTING = """
with near as (
    select id, row_number() over (order by embedding <=> %(vector)s::vector) as place
    from (
        select id, embedding from projects
        where embedding is not null order by embedding <=> %(vector)s::vector limit 20
    ) as nearest
), said as (
    select id, row_number() over (order by ts_rank_cd(search, query) desc, id) as place
    from projects, to_tsquery('english', %(words)s) as query
    where search @@ query
    order by place limit 20
)
select projects.id, title, summary, url,
    coalesce(1.0 / (60 + near.place), 0) + coalesce(1.0 / (60 + said.place), 0) as score
from near full join said using (id) join projects using (id)
order by score desc, projects.id limit %(limit)s
"""


class Knowledge:
    """Keeps the embeddings complete in the background, and searches them."""

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._models = models
        self._new = asyncio.Event()

    def changed(self) -> None:
        """Has a new project read soon."""
        self._new.set()

    async def keep_complete(self) -> None:
        """Runs until it is cancelled. Tries again where the model or the database is away."""
        while True:
            self._new.clear()
            try:
                while await self._fill():
                    pass
            except (ModelsAway, Error):
                await asyncio.sleep(_FILL_S)
            else:
                await self._new.wait()

    async def fitting(self, question: str, limit: int = SOURCES) -> list[dict[str, Any]]:
        """The projects that fit best, the best first. Raises `ModelsAway`."""
        await self._complete()
        [vector] = await self._models.embed([question], query=True)
        values = {"vector": _text(vector), "words": any_word(question), "limit": limit}
        async with self._store.pool.connection() as connection:
            return await (await connection.execute(_FITTING, values)).fetchall()  # type: ignore[return-value]  # the pool's row factory

    async def _complete(self) -> None:
        """So that a question right after a project was added finds it."""
        while await self._fill():
            pass

    async def _fill(self) -> bool:
        """Reads some projects that were not read yet; False where there are none."""
        async with self._store.pool.connection() as connection:
            rows: list[Any] = await (await connection.execute(_MISSING, [_BATCH])).fetchall()
        if not rows:
            return False
        texts = [f"{row['title']}. {row['summary']} {' '.join(row['tags'])}" for row in rows]
        vectors = await self._models.embed(texts, query=False)
        filled = [(_text(vector), row["id"]) for row, vector in zip(rows, vectors, strict=True)]
        async with self._store.pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(_FILL, filled)
        return True


def any_word(question: str) -> str:
    """A tsquery that any word of the question fits. Words that say nothing fall out of it."""
    words = "".join(letter if letter.isalnum() else " " for letter in question).split()
    return " | ".join(f"'{word}'" for word in words)


def _text(vector: list[float]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{number:.6g}" for number in vector) + "]"
