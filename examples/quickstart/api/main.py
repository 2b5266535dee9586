"""The portfolio's HTTP API: list, search, add and read projects. Questions are in asking.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Annotated, Any

from asking import asking
from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from knowledge import Knowledge
from models import Models, ModelsAway
from psycopg import OperationalError
from psycopg_pool import PoolTimeout
from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, StringConstraints
from store import Store, TitleTaken, snippet_parts
from words import storable

store = Store()
LONGEST_URL = 500
api = APIRouter(prefix="/api")


def _short(url: AnyHttpUrl) -> AnyHttpUrl:
    if len(str(url)) > LONGEST_URL:
        raise ValueError("must have at most 500 characters")
    return url


def _text(longest: int) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[\w][\w .+#-]{0,29}$"),
]


class NewProject(BaseModel):
    """What is sent to add a project."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, _text(120), AfterValidator(storable)]
    summary: Annotated[str, _text(2000), AfterValidator(storable)]
    url: Annotated[AnyHttpUrl, AfterValidator(_short)] | None = None
    tags: Annotated[list[Tag], Field(max_length=8)] = []


class Piece(BaseModel):
    """A piece of a snippet; `match`: it is what was searched for."""

    text: str
    match: bool


class Project(BaseModel):
    """A project. `snippet` is there in answers to a search."""

    id: int
    title: str
    summary: str
    url: str | None
    tags: list[str]
    created_at: datetime
    snippet: list[Piece] | None = None


class Projects(BaseModel):
    """A page of projects, and how many there are on all pages."""

    total: int
    projects: list[Project]


class TagCount(BaseModel):
    """A tag, and how many projects have it."""

    tag: str
    projects: int


def _project(row: dict[str, Any]) -> Project:
    found = {**row, "snippet": snippet_parts(row["snippet"]) if "snippet" in row else None}
    return Project.model_validate(found)


@api.get("/health")
async def health() -> dict[str, Any]:
    """Asks the database, since without it nothing works."""
    return {"database": "ok", "projects": await store.count()}


@api.get("/projects")
async def list_projects(
    q: Annotated[str, Query(max_length=200), AfterValidator(storable)] = "",
    tag: Annotated[Tag | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 24,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Projects:
    """The newest projects; with `q`, those that fit it, the best first."""
    found = await store.find(q, tag, limit, offset)
    return Projects(total=found.total, projects=[_project(row) for row in found.projects])


@api.post("/projects", status_code=201)
async def add_project(new: NewProject, request: Request, response: Response) -> Project:
    """Adds one. 409 where the title is taken."""
    values = new.model_dump(mode="json")
    values["tags"] = sorted(set(values["tags"]))
    try:
        row = await store.add(values)
    except TitleTaken:
        raise HTTPException(409, "there is a project of that title") from None
    request.state.knowledge.changed()
    response.headers["Location"] = f"/api/projects/{row['id']}"
    return _project(row)


@api.get("/projects/{project_id}")
async def get_project(project_id: int) -> Project:
    """One of them."""
    row = await store.get(project_id) if 0 < project_id < 2**63 else None
    if row is None:
        raise HTTPException(404, "there is no such project")
    return _project(row)


@api.get("/tags")
async def list_tags() -> list[TagCount]:
    """All tags, the most used first."""
    return [TagCount.model_validate(row) for row in await store.tags()]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Connects before the first request, and ends connections after the last."""
    await store.open()
    models = Models()
    knowledge = Knowledge(store, models)
    reading = asyncio.create_task(knowledge.keep_complete())
    try:
        yield {"models": models, "knowledge": knowledge}
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await models.close()
        await store.close()


app = FastAPI(
    title="Portfolio",
    lifespan=lifespan,
    docs_url=None,
    redoc_url=None,
    openapi_url="/api/openapi.json",
)
app.include_router(api)
app.include_router(asking)


@app.exception_handler(RequestValidationError)
async def bad_request(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Says what is wrong, without repeating what was sent: not all of it can be written as JSON."""
    problems = [{key: each[key] for key in ("loc", "msg", "type")} for each in error.errors()]
    return JSONResponse({"detail": problems}, 422)


@app.exception_handler(OperationalError)
@app.exception_handler(PoolTimeout)
async def no_database(_request: Request, _error: Exception) -> JSONResponse:
    """Says that it is for a while, so that a check and a proxy know it is no bug."""
    return JSONResponse(
        {"detail": "the database can't be reached"}, 503, headers={"Retry-After": "5"}
    )


@app.exception_handler(ModelsAway)
async def no_models(_request: Request, error: ModelsAway) -> JSONResponse:
    """Says that it is for a while: everything but questions goes on."""
    return JSONResponse({"detail": str(error)}, 503, headers={"Retry-After": "5"})
