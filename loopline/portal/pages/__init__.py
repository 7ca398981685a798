"""The pages, a file each; ``ROUTERS`` is what the application serves."""

from __future__ import annotations

from fastapi import APIRouter

from loopline.portal.pages import acting, cycles, features, home, model, overview, reports

ROUTERS: tuple[APIRouter, ...] = (
    home.router,
    overview.router,
    model.router,
    cycles.router,
    features.router,
    reports.router,
    acting.router,
)
