"""`/metrics`, for Prometheus: with a token, or a session."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from phoenix_hypervisor.web.context import of

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """All that is known now; nothing is asked for it."""
    here = of(request)
    desired = await here.desk.desired()
    accept = request.headers.get("accept", "")
    told = await asyncio.to_thread(here.metrics.exposition, desired, accept)
    return Response(told.body, headers={"Content-Type": told.content_type})
