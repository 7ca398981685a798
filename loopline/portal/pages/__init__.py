"""The pages, a file each; ``ROUTERS`` is what the application serves."""

from __future__ import annotations

from fastapi import APIRouter

from loopline.portal.pages import (
    acting,
    alarms,
    cycles,
    features,
    home,
    letters,
    metrics,
    model,
    overview,
    reports,
    scorecard,
    teams,
)

ROUTERS: tuple[APIRouter, ...] = (
    home.router,
    overview.router,
    model.router,
    cycles.router,
    features.router,
    teams.router,
    letters.router,
    scorecard.router,
    alarms.router,
    reports.router,
    acting.router,
    metrics.router,
)
