"""Errors as answers: every one a document with what went wrong and how to mend it."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from phoenix_hypervisor.model import errors
from phoenix_hypervisor.web.api.shapes import Problem

_STATUS: tuple[tuple[type[errors.PhoenixError], int], ...] = (
    (errors.NotFound, 404),
    (errors.UsageError, 400),
    (errors.PlanStale, 409),
    (errors.StackBusy, 409),
    (errors.Conflict, 409),
    (errors.Unreachable, 502),
)
_FAILED = 500

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": why}
    for status, why in {
        400: "what was asked for makes no sense",
        401: "nobody is logged in",
        403: "this may not be done",
        404: "there is no such thing",
        409: "it does not fit what is there, or another apply works",
        413: "the body is too large",
        422: "the request is not as it has to be",
        500: "the files have errors, or something failed",
        502: "the target can't be reached",
    }.items()
}


def status(error: errors.PhoenixError) -> int:
    """HTTP's status for an error."""
    return next((code for kind, code in _STATUS if isinstance(error, kind)), _FAILED)


def _invalid(one: Mapping[str, Any]) -> str:
    """A flaw of a request, in words; pydantic tells of a body that is missing as of any field."""
    place = ".".join(str(part) for part in one["loc"] if part not in ("body", "query", "path"))
    if one["type"] == "json_invalid":
        return f"the body is no JSON: {one['ctx']['error']} at character {one['loc'][-1]}"
    if not place:
        return f"the body: {one['msg']}" if one["type"] != "missing" else "a JSON body is missing"
    return f"{place}: {'is missing' if one['type'] == 'missing' else one['msg']}"


def answer(app: FastAPI, hide: Callable[[str], str]) -> None:
    """Has all errors of the application answered so."""

    async def expected(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, errors.PhoenixError):
            raise error
        problem = {"error": hide(error.message), "hint": hide(error.hint)}
        if isinstance(error, errors.ConfigError):
            problem["problems"] = [  # type: ignore[assignment]  # a list beside texts
                {**one.as_json(), "message": hide(one.message)} for one in error.problems
            ]
        return JSONResponse(problem, status(error))

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        told = error.errors() if isinstance(error, RequestValidationError) else ()
        places = [_invalid(one) for one in told]
        return JSONResponse(
            {"error": "; ".join(places[:5]), "hint": "see /api/v1/openapi.json"}, 422
        )

    async def http(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        headers = dict(error.headers or {})
        return JSONResponse({"error": str(error.detail), "hint": ""}, error.status_code, headers)

    async def unreadable(_: Request, error: Exception) -> JSONResponse:
        problem = {"error": hide(f"what was kept can't be read: {error}"), "hint": ""}
        return JSONResponse(problem, _FAILED)

    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        problem = {"error": f"an unexpected {type(error).__name__}: this is a bug", "hint": ""}
        return JSONResponse(problem, _FAILED)

    app.add_exception_handler(errors.PhoenixError, expected)
    app.add_exception_handler(sqlite3.Error, unreadable)
    app.add_exception_handler(Exception, unexpected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
