"""What the API changes: each a job that goes on by itself, with a stream of its events."""

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from phoenix_hypervisor.app import told
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.snapshot import problem
from phoenix_hypervisor.web import work
from phoenix_hypervisor.web.api.errors import RESPONSES
from phoenix_hypervisor.web.api.reads import Here, guest_of
from phoenix_hypervisor.web.api.shapes import (
    Begun,
    Document,
    Ident,
    Kind,
    ToApply,
    ToChat,
    ToCheck,
    ToSnapshot,
)
from phoenix_hypervisor.web.jobs import Job
from phoenix_hypervisor.web.security.caller import caller

router = APIRouter(prefix="/api/v1", responses=RESPONSES)
_ACCEPTED = 202


@router.post("/apply", status_code=_ACCEPTED)
async def apply(here: Here, request: Request, body: ToApply) -> Begun:
    """Applies exactly this plan, then verifies; refused if the world has moved since."""
    plan, options = told.read_plan(body.plan, "that was sent")
    planned = work.Planned(plan, options)
    doing = work.apply(here.desk, planned, body.allow_destructive, body.parallel)
    about = planned.about(body.allow_destructive)
    return _begun(here.jobs.begin("apply", plan.stack, caller(request), doing, about))


@router.post("/check", status_code=_ACCEPTED)
async def check(here: Here, request: Request, body: ToCheck) -> Begun:
    """Asks the checks now; the job's result is the document of `phoenix --json check`."""
    if body.guests:
        async with here.desk.session(kept=True) as session:
            session.resolve(body.guests)
    on = ", ".join(body.guests) or "all guests"
    return _begun(here.jobs.begin("check", on, caller(request), work.check(here.desk, body.guests)))


@router.post("/guests/{kind}/{ident}/restart", status_code=_ACCEPTED)
async def restart(here: Here, request: Request, kind: Kind, ident: Ident) -> Begun:
    """Restarts a guest and waits for its checks."""
    guest = await guest_of(here, kind, ident)
    return _begun(
        here.jobs.begin("restart", guest, caller(request), work.restart(here.desk, guest))
    )


@router.post("/guests/{kind}/{ident}/snapshot", status_code=_ACCEPTED)
async def snapshot(
    here: Here, request: Request, kind: Kind, ident: Ident, body: ToSnapshot
) -> Begun:
    """Takes a snapshot of a guest."""
    guest = await guest_of(here, kind, ident)
    if body.name is not None and (why := problem(body.name)):
        raise UsageError(why)
    doing = work.snapshot(here.desk, guest, body.name)
    return _begun(here.jobs.begin("snapshot", guest, caller(request), doing, body.name or ""))


@router.post("/chat", status_code=_ACCEPTED)
async def chat(here: Here, request: Request, body: ToChat) -> Begun:
    """Asks a model through its route; events bring its answer in pieces."""
    kind, ident = body.guest.split("/")
    guest = await guest_of(here, kind, int(ident))
    doing = work.chat(here.desk, guest, body.model, body.question, body.most_tokens)
    return _begun(here.jobs.begin("chat", guest, caller(request), doing, body.model or ""))


@router.post("/jobs/{job}/cancel", status_code=_ACCEPTED)
async def cancel(here: Here, request: Request, job: str) -> Document:
    """Breaks a job off, in order, as Ctrl-C does for a command."""
    found = here.jobs.find(job)
    here.jobs.cancel(found, caller(request))
    return {"format": 1, "job": found.as_json()}


@router.get(
    "/jobs/{job}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "events, then `end`"}},
)
async def events(here: Here, job: str) -> StreamingResponse:
    """A job's events from its first, as they come; last an event `end` with the job."""
    return StreamingResponse(_stream(here.jobs.find(job)), media_type="text/event-stream")


async def _stream(job: Job) -> AsyncIterator[bytes]:
    async for event in job.follow():
        yield f"data: {json.dumps(event)}\n\n".encode()
    yield f"event: end\ndata: {json.dumps(job.as_json())}\n\n".encode()


def _begun(job: Job) -> Begun:
    return Begun(job=job.id, events=f"/api/v1/jobs/{job.id}/events")
