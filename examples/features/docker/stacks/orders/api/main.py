"""The smallest back end that is worth a container: orders in, orders out."""

from collections.abc import AsyncIterator
from typing import Annotated

import asyncpg
from database import connect
from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field

app = FastAPI()


async def database() -> AsyncIterator[asyncpg.Connection]:
    """A connection for one request."""
    connection = await connect()
    try:
        yield connection
    finally:
        await connection.close()


Database = Annotated[asyncpg.Connection, Depends(database)]


class Order(BaseModel):
    """What somebody wants."""

    item: str
    quantity: int = Field(gt=0)


@app.get("/health")
async def health(db: Database) -> dict[str, str]:
    """Whether the database answers."""
    await db.fetchval("select count(*) from orders")
    return {"database": "ok"}


@app.get("/orders")
async def listed(db: Database) -> list[Order]:
    """All orders, the newest first."""
    rows = await db.fetch("select item, quantity from orders order by id desc")
    return [Order(**row) for row in rows]


@app.post("/orders", status_code=201)
async def add(order: Order, db: Database) -> Order:
    """Takes an order."""
    await db.execute(
        "insert into orders (item, quantity) values ($1, $2)", order.item, order.quantity
    )
    return order
