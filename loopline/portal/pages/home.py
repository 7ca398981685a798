"""Home page, which redirects to the list of models."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

router = APIRouter()


@router.get("/", include_in_schema=False)
def home() -> RedirectResponse:
    """Lead to the list of models."""
    return RedirectResponse("/models", status_code=303)
