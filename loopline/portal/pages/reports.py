"""Drift reports as their vendor drew them, served in a sandbox."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse, RedirectResponse

from loopline.platform_core.errors import NotFound, Unsupported
from loopline.portal.page_request import CurrentRequest
from loopline.portal.security import DRAWN_ELSEWHERE

router = APIRouter()
Folder = Annotated[str, Path(pattern=r"^\w+\.\w+$", max_length=256)]
LONGEST_BYTES = 255
"""Of the name of a file or folder."""
File = Annotated[str, Path(pattern=r"^[\w-]+\.html$", max_length=256)]


@router.get(
    "/reports/{model}/{name}",
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def report(ask: CurrentRequest, model: Folder, name: File) -> FileResponse:
    """Serve a report; its scripts run in an origin of their own and reach nothing."""
    _refuse_long(model, name)
    file = ask.platform.home / "reports" / model / name
    if not file.is_file() and not ask.platform.drift_report.fetch(model, file):
        raise _unknown(model, name)
    return FileResponse(file, media_type="text/html", headers={"content-security-policy": DRAWN_ELSEWHERE})


@router.get("/reports/{model}/{name}/link", response_class=RedirectResponse, status_code=303)
def signed(ask: CurrentRequest, model: Folder, name: File) -> RedirectResponse:
    """Lead to a link that is signed now and may be given away while it lasts; where none can be, to the page here."""
    _refuse_long(model, name)
    try:
        link = ask.platform.drift_report.link(model, name)
    except Unsupported:
        link = f"/reports/{model}/{name}"
    return RedirectResponse(
        link, status_code=303, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"}
    )


def _refuse_long(*names: str) -> None:
    """Refuse what no file can be called: a system counts bytes, and raises where it is asked for more."""
    if any(len(name.encode()) > LONGEST_BYTES for name in names):
        raise _unknown(*names)


def _unknown(model: str, name: str) -> NotFound:
    return NotFound(f"no report {model}/{name}", "the newest is linked from the model's page")
