"""Runs fakesnow's server with what it leaves out: a password that is checked, and answers that a test asked for.

It is run by the Python of ``.peers/fakesnow``, and imports nothing of ours. ``POST /_faults`` takes
``{"statement": part of it, "status": 503}`` or ``{"statement": ..., "code": 630, "message": ...}``; the next statements
that hold the part are answered so, until ``null`` comes.
"""

from __future__ import annotations

import gzip
import importlib
import json
import sys
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PASSWORD = "open sesame"
fakesnow: Any = importlib.import_module("fakesnow.server")
fault: dict[str, Any] | None = None


async def _said(request: Request) -> Any:
    body = await request.body()
    return json.loads(gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)


def _refused(code: str, message: str) -> Response:
    return JSONResponse({"data": {"errorCode": code}, "code": code, "message": message, "success": False})


async def login(request: Request) -> Any:
    """Let in who knows the password, or signs by a key: which one is not looked at."""
    data = (await _said(request))["data"]
    if data.get("AUTHENTICATOR") != "SNOWFLAKE_JWT" and data.get("PASSWORD") != PASSWORD:
        return _refused("390100", "Incorrect username or password was specified.")
    let_in = json.loads((await fakesnow.login_request(request)).body)
    let_in["data"]["masterToken"] = "master"  # without it a client ends no session
    return JSONResponse(let_in)


async def query(request: Request) -> Any:
    """Run a statement, unless it is to fail."""
    if fault is None or fault["statement"] not in (await _said(request)).get("sqlText", ""):
        return await fakesnow.query_request(request)
    if "status" in fault:
        return Response(status_code=fault["status"])
    return _refused(f"{fault['code']:06d}", fault["message"])


async def faults(request: Request) -> Response:
    """Keep what is to go wrong."""
    global fault  # noqa: PLW0603 - one server a process
    fault = json.loads(await request.body())
    return Response()


if __name__ == "__main__":
    ours = {"login-request": login, "query-request": query}
    routes = fakesnow.app.router.routes
    for at, route in enumerate(routes):
        for end, answers in ours.items():
            if route.path.endswith(end):
                routes[at] = Route(route.path, answers, methods=["POST"])
    routes.append(Route("/_faults", faults, methods=["POST"]))
    uvicorn.run(fakesnow.app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
