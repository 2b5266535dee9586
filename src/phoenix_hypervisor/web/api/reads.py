"""Reads of the API: they change nothing, so a read-only token may ask all of them."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from phoenix_hypervisor.app import gpus as gpu_memory
from phoenix_hypervisor.app import objectives, told, undo
from phoenix_hypervisor.app.watching import ages, remarks
from phoenix_hypervisor.history import as_json as runs_as_json
from phoenix_hypervisor.history import reading
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import NotFound
from phoenix_hypervisor.plan.ledger import show
from phoenix_hypervisor.plan.picture import as_json as graph_as_json
from phoenix_hypervisor.plan.picture.of_files import of_files
from phoenix_hypervisor.watch import slo
from phoenix_hypervisor.web import work
from phoenix_hypervisor.web.api.errors import RESPONSES
from phoenix_hypervisor.web.api.shapes import Document, Ident, Kind, Me, Words
from phoenix_hypervisor.web.context import Context, context
from phoenix_hypervisor.web.logs import MOST_LINES
from phoenix_hypervisor.web.security.caller import caller

router = APIRouter(prefix="/api/v1", responses=RESPONSES)
Here = Annotated[Context, Depends(context)]
_WINDOWS = tuple(slo.WINDOWS)


@router.get("/session")
async def session(request: Request) -> Me:
    """Who asks, and what their unsafe requests must show."""
    found = caller(request)
    return Me(who=found.who, role=found.role, csrf=found.csrf)


@router.get("/status")
async def status(here: Here) -> Document:
    """Every guest, as `phoenix --json status --gpus` tells it; at most 5 s old."""
    look = await here.desk.look()
    document = told.health(look.guests, real=look.real)
    for check in (check for guest in document["guests"] for check in guest["checks"]):
        check["message"] = here.desk.hide(check["message"])
    await asyncio.to_thread(ages.add, document, here.desk.folder)
    await asyncio.to_thread(remarks.add, document, look.desired)
    for one in document["remarks"]:
        one["text"] = here.desk.hide(one["text"])
    return document | {"gpus": show.as_json(look.gpus.cards)}


@router.get("/gpus")
async def gpus(here: Here) -> Document:
    """Who has which graphics card, and how much of it."""
    ledger = gpu_memory.of(await here.desk.desired())
    return {"format": 1, "gpus": show.as_json(ledger.cards)}


@router.get("/plan")
async def plan(
    here: Here,
    target: Annotated[Words, Query()] = [],  # noqa: B006 - FastAPI reads it, nobody writes it
    reconfigure: Annotated[Words, Query()] = [],  # noqa: B006
    prune: bool = False,
) -> Document:
    """What would change, as `phoenix --json plan` tells it."""
    return (await work.plan(here.desk, target, reconfigure, prune=prune)).as_json()


@router.get("/history")
async def history(here: Here, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> Document:
    """The last runs, the newest first."""
    found = await asyncio.to_thread(reading.runs, here.desk.folder, limit)
    return {"format": 1, "runs": [runs_as_json.line(one) for one in found]}


@router.get("/history/{run}")
async def one_run(here: Here, run: str) -> Document:
    """One run with its plan and events; by its id, the beginning of one, or `last`."""
    found = await asyncio.to_thread(reading.run, here.desk.folder, run)
    return {"format": 1, "run": runs_as_json.whole(found)}


@router.get("/graph")
async def graph(here: Here) -> Document:
    """The guests with their sources, dependencies, routes, volumes and networks."""
    return graph_as_json.dump(of_files(await here.desk.desired()))


@router.get("/slo")
async def slos(here: Here) -> Document:
    """What was promised and kept, as `phoenix --json slo` tells it."""
    desired = await here.desk.desired()
    found = await asyncio.to_thread(objectives.measured, desired, time.time())
    return objectives.document(found)


@router.get("/happenings")
async def happenings(
    here: Here,
    since: Annotated[float, Query(ge=0, le=1e11)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Document:
    """What watching saw and did, the newest first; `since` is Unix time."""
    found = await here.desk.read(
        lambda reader: reader.happenings(since=since, limit=limit) if reader else []
    )
    listed = [
        {
            "at": one.at,
            "what": one.what,
            "guest": one.guest,
            "text": here.desk.hide(one.text),
            "step": one.step,
        }
        for one in found
    ]
    return {"format": 1, "happenings": listed}


@router.get("/guests/{kind}/{ident}/plot")
async def plot(
    here: Here,
    kind: Kind,
    ident: Ident,
    check: Annotated[str, Query(min_length=1, max_length=400)],
    window: Annotated[str, Query(pattern=f"^({'|'.join(_WINDOWS)})$")] = "1h",
) -> Document:
    """A check's latencies over the last `window`, in ms, with the numbers of `llm` checks."""
    address = await guest_of(here, kind, ident)
    now = time.time()
    start = now - slo.WINDOWS[window]
    found = await here.desk.read(
        lambda reader: reader.plot(address, check, start, now) if reader else []
    )
    points = [
        {
            "at": one.at,
            "answers": one.answers,
            "failed": one.failed,
            "p50_ms": one.p50_ms,
            "p95_ms": one.p95_ms,
            "p99_ms": one.p99_ms,
            "numbers": dict(one.numbers),
        }
        for one in found
    ]
    return {"format": 1, "guest": address, "check": check, "points": points}


@router.get("/guests/{kind}/{ident}/snapshots")
async def snapshots(here: Here, kind: Kind, ident: Ident) -> Document:
    """A guest's snapshots, the oldest first."""
    address = await guest_of(here, kind, ident)
    async with here.desk.session() as opened:
        found, untold = await undo.listed(opened, [address])
        return told.snapshots(opened.desired, found, untold)


@router.get("/guests/{kind}/{ident}/logs")
async def logs(
    here: Here, kind: Kind, ident: Ident, lines: Annotated[int, Query(ge=1, le=MOST_LINES)] = 200
) -> Document:
    """The last lines of a guest's journal; of one that doesn't run, of its console."""
    address = await guest_of(here, kind, ident)
    found = await here.desk.logs.last_lines(address, lines)
    return {"format": 1, "guest": address, "lines": found}


@router.get("/jobs")
async def jobs(here: Here) -> Document:
    """The last jobs, the newest first."""
    return {"format": 1, "jobs": [one.as_json() for one in here.jobs.all()]}


@router.get("/jobs/{job}")
async def one_job(here: Here, job: str) -> Document:
    """One job, with its result once it is over."""
    return {"format": 1, "job": here.jobs.find(job).as_json()}


async def guest_of(here: Context, kind: str, ident: int) -> Address:
    """Raises `NotFound` for a guest that is not of the files."""
    address = Address(f"{kind}/{ident}")
    if address not in (await here.desk.desired()).guests:
        raise NotFound(f"{address} is not in the files", hint="GET /api/v1/status lists them")
    return address
