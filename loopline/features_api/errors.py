"""Error responses of the feature service: ``{"error": {"problem": ..., "fix": ...}}``."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from loopline.platform_core.errors import (
    BadRequest,
    CommitConflict,
    Denied,
    LooplineError,
    NotFound,
    Refused,
    Transient,
)
from loopline.platform_core.redaction import redacted

METHOD_NOT_ALLOWED, UNAVAILABLE = 405, 503
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Problem(BaseModel):
    """What is wrong, and what to do."""

    problem: str
    fix: str


class Failure(BaseModel):
    """The body of every answer that is not a success."""

    error: Problem


def install(app: FastAPI) -> None:
    """Let every error of the application be answered in the one shape."""

    @app.exception_handler(LooplineError)
    def ours(_: Request, error: LooplineError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(ascii(part).strip("'") for part in first["loc"])
        return _answer(400, f"{place}: {first['msg']}", "see /docs for what the route takes")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        fix = "see /docs for the routes and what they take"
        problem = f"{request.method} {request.url.path}: {error.detail}"
        return _answer(error.status_code, problem, fix, headers_of(request, error))

    @app.exception_handler(Exception)
    def defect(_: Request, error: Exception) -> JSONResponse:
        return _answer(500, redacted(f"{type(error).__name__}: {error}"), "this is a defect of the service: report it")


def headers_of(request: Request, error: HTTPException) -> Mapping[str, str] | None:
    """Return an error's headers; ``Allow`` names the methods of every route of the path, not of the first one only."""
    if error.status_code != METHOD_NOT_ALLOWED:
        return error.headers
    routes, scope = request.app.router.routes, request.scope
    found = (m for m in METHODS if any(r.matches({**scope, "method": m})[0] is Match.FULL for r in routes))
    return {**(error.headers or {}), "Allow": ", ".join(found)}


def answer(error: LooplineError) -> JSONResponse:
    """Say an error of ours in the one shape."""
    return _answer(status_of(error), error.problem, error.fix, delay_of(error))


def status_of(error: LooplineError) -> int:
    """Return the HTTP status of an error: 404 unknown, 403 denied, 409 forbidden now, 503 try again, else 400."""
    if isinstance(error, BadRequest):
        return error.status
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Denied):
        return 403
    if isinstance(error, Refused | CommitConflict):
        return 409
    return UNAVAILABLE if isinstance(error, Transient) else 400


def delay_of(error: LooplineError) -> dict[str, str]:
    """Return the header that says when another try is worth it; none where it never is."""
    return {"retry-after": str(math.ceil(error.delay_seconds))} if isinstance(error, Transient) else {}


def _answer(status: int, problem: str, fix: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body = Failure(error=Problem(problem=problem, fix=fix))
    return JSONResponse(body.model_dump(), status, dict(headers or {}))
