"""Prometheus metrics endpoint of the portal."""

from __future__ import annotations

from fastapi import APIRouter, Response

from loopline.platform_core.observability.exposition import CONTENT_TYPE, exposition
from loopline.portal.page_request import CurrentRequest

router = APIRouter()


@router.get("/metrics", response_class=Response, include_in_schema=False)
def metrics(ask: CurrentRequest) -> Response:
    """Tell of cycles, rollouts, data, drift and alarms in Prometheus' text format."""
    return Response(exposition(ask.platform, ask.portal.installed), media_type=CONTENT_TYPE)
