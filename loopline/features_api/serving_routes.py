"""HTTP routes that serve features: online values, and point-in-time training sets."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loopline.features_api import serving_requests, training_tables
from loopline.features_api.serving import Made, Serving
from loopline.features_api.serving_docs import ONLINE, TRAINING
from loopline.features_api.training_tables import ARROW, NDJSON
from loopline.platform_core.errors import BadRequest
from loopline.platform_core.features.online import fetch_online

router = APIRouter(tags=["serving"])


@router.post("/features/online", openapi_extra=ONLINE, response_class=Response)
async def online(request: Request) -> Response:
    """Answer with the newest values of features for entities; ``sdk/README.md`` tells the form."""
    asked = serving_requests.online_request(await serving_requests.body_of(request))
    serving = _serving(request)
    names = serving.names(asked.team)
    views = names.held(asked.features, asked.model)
    if views is None:
        views = await run_in_threadpool(names.ask, asked.features, asked.model)
    found = await fetch_online(serving.platform, views, asked.entities, asked.at)
    return Response(found.encode(), media_type="application/json")


@router.post("/features/training-set", openapi_extra=TRAINING, response_class=Response)
async def training_set(request: Request) -> Response:
    """Answer with features as they were known in the past: for the caller's rows, or a model's training set."""
    kind, body = _accepted(request), await serving_requests.body_of(request)
    made, written = await run_in_threadpool(_made, request, body, kind)
    headers = {"loopline-training-set": made.training_set_id} if made.training_set_id else {}
    return Response(written, headers=headers, media_type=kind)


@router.get("/health")
async def health(request: Request) -> dict[str, str]:
    """Say that the service runs and the online store answers."""
    await _serving(request).platform.online_store.fetch([("health", ["health"])])
    return {"status": "ok"}


def install(app: FastAPI) -> None:
    """Add the routes to an application."""
    app.include_router(router)
    # Found first and called without FastAPI's machinery, which costs more than all the rest of a request for one row.
    app.router.routes.insert(0, Route("/features/online", online, methods=["POST"]))


def _made(request: Request, body: bytes, kind: str) -> tuple[Made, bytes]:
    """Make a training set and write it; takes as long as it takes, so never in the event loop."""
    if request.headers.get("content-type", "").startswith(ARROW):
        query = request.query_params
        fields = {name: query[name] for name in ("team", "model", "version", "as_of") if name in query}
        asked = serving_requests.training_fields({**fields, "features": query.getlist("features") or None})
        rows = training_tables.from_arrow(body)
    else:
        asked = serving_requests.training_request(body)
        rows = None if asked.rows is None else training_tables.from_columns(asked.rows)
    made = _serving(request).make(asked, rows)
    write = training_tables.as_arrow if kind == ARROW else training_tables.as_ndjson
    return made, write(made.rows)


def _accepted(request: Request) -> str:
    accept = request.headers.get("accept", "*/*")
    kind = next((kind for kind in (ARROW, NDJSON) if kind in accept), NDJSON if "*/*" in accept else None)
    if kind is None:
        raise BadRequest(f"nothing is written as {accept!r}", f"accept {ARROW} or {NDJSON}", status=406)
    return kind


def _serving(request: Request) -> Serving:
    state = request.app.state
    if not hasattr(state, "serving"):
        state.serving = Serving(state.service)
    serving: Serving = state.serving
    return serving
