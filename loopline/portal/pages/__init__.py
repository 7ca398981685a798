"""Pages of the portal, one file each; ``ROUTERS`` is what the application serves."""

from __future__ import annotations

from fastapi import APIRouter

from loopline.portal.pages import (
    access,
    acting,
    alarms,
    audit,
    cards,
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
    cards.router,
    cycles.router,
    features.router,
    teams.router,
    letters.router,
    scorecard.router,
    alarms.router,
    audit.router,
    access.router,
    reports.router,
    acting.router,
    metrics.router,
)
