"""Error pages of the portal, with problem and fix, as HTML or JSON."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from loopline.features_api.errors import delay_of, headers_of, status_of
from loopline.platform_core.errors import Denied, LooplineError
from loopline.platform_core.foundation import validation
from loopline.platform_core.redaction import redacted
from loopline.portal.page import Page
from loopline.portal.page_request import answer

_log = logging.getLogger("loopline.portal")


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do; ``ask`` is the form that asks for the role that is missing, "" if none is."""

    problem: str
    fix: str
    ask: str = ""

    @classmethod
    def of(cls, error: LooplineError) -> Self:
        """Tell an error of ours."""
        role = error.role if isinstance(error, Denied) else ""
        team, _, name = role.partition("/")
        ask = f"/actions/request-role?{urlencode({'team': team, 'role': name})}" if role else ""
        return cls(error.problem, error.fix, ask)


@dataclass(frozen=True)
class ErrorPage(Page):
    """An answer that is not what was asked for; as JSON ``{"status": ..., "error": {"problem": ..., "fix": ...}}``."""

    template: ClassVar[str] = "error.html"
    status: int
    error: Problem

    @property
    def title(self) -> str:
        """Return the status in words."""
        return _TITLES.get(self.status, "This did not work")


_TITLES = {404: "Not found", 403: "Not allowed", 409: "Not now", 503: "Not there", 500: "A defect"}


def install(app: FastAPI) -> None:
    """Let every error be answered by an error page; ``security.PagePolicy`` sees to defects."""

    @app.exception_handler(LooplineError)
    def ours(request: Request, error: LooplineError) -> Response:
        return _failed(request, status_of(error), Problem.of(error), delay_of(error))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        _, field, message = validation.first(error.errors())
        return failed(request, 400, f"{field}: {message}", "go back, and correct the field")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        problem = f"{request.method} {request.url.path}: {error.detail}"
        return failed(request, error.status_code, problem, "start from the list of models", headers_of(request, error))


def defect(request: Request, error: Exception) -> Response:
    """Answer with an error page for what nobody foresaw; the traceback is in the log."""
    _log.exception("%s %s", request.method, request.url.path, exc_info=error)
    said = redacted(f"{type(error).__name__}: {error}")
    return failed(request, 500, said, "this is a defect of the portal: report it with the lines of its log")


def failed(request: Request, status: int, problem: str, fix: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with an error page."""
    return _failed(request, status, Problem(problem, fix), headers)


def _failed(request: Request, status: int, problem: Problem, headers: Mapping[str, str] | None) -> Response:
    response = answer(request, ErrorPage(status, problem), status)
    response.headers.update(headers or {})
    return response
