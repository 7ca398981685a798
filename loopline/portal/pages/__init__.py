"""The pages, a file each; ``ROUTERS`` is what the application serves."""

from __future__ import annotations

from fastapi import APIRouter

from loopline.portal.pages import home, overview

ROUTERS: tuple[APIRouter, ...] = (home.router, overview.router)
