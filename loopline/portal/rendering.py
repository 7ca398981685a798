"""Renders a page as HTML by Jinja2 (autoescaped), or as JSON."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from loopline.portal import filters, me
from loopline.portal.model import bands, drawings
from loopline.portal.picture import drawn
from loopline.portal.sections import SECTIONS

if TYPE_CHECKING:
    from fastapi import Request

    from loopline.portal.page import Page

STATIC = Path(__file__).with_name("static")


def as_json(page: Page) -> bytes:
    """Write a page as JSON: times in ISO 8601 with their zone, NaN and infinities as null."""
    return msgspec.json.encode(page)


def as_html(page: Page, request: Request) -> str:
    """Write a page as HTML."""
    guarded = request.app.state.portal.platform.environment.access is not None
    sections = [section for section in SECTIONS if guarded or not section.of_access]
    shown = {"page": page, "request": request, "sections": sections, "me": me.of(request)}
    return _environment().get_template(page.template).render(shown)


def asset(path: str) -> str:
    """Return the address of a file of ``static``, which changes with its content: it may be kept for ever."""
    return f"/static/{path}?v={_digest(path)}"


@cache
def _environment() -> Environment:
    loader = PackageLoader("loopline.portal")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {**filters.FILTERS, "drawn": drawn, "bands_drawn": bands.drawn}
    made.filters |= {"plot_drawn": drawings.drawn, "shade": drawings.shade}
    made.globals |= {"asset": asset}
    return made


@cache
def _digest(path: str) -> str:
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]
