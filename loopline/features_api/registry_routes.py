"""Routes of the feature registry: views, sources, consumers."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["registry"])
