"""Drift reports as their vendor drew them: one file each, in a sandbox of its own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse, RedirectResponse

from loopline.platform_core.errors import NotFound, Unsupported
from loopline.portal.page_request import CurrentRequest
from loopline.portal.security import DRAWN_ELSEWHERE

router = APIRouter()
Folder = Annotated[str, Path(pattern=r"^\w+\.\w+$", max_length=256)]
File = Annotated[str, Path(pattern=r"^[\w-]+\.html$", max_length=256)]


@router.get("/reports/{model}/{name}", response_class=FileResponse)
def report(ask: CurrentRequest, model: Folder, name: File) -> FileResponse:
    """Serve a report; its scripts run in an origin of their own and reach nothing."""
    file = ask.platform.home / "reports" / model / name
    if not file.is_file() and not ask.platform.drift_report.fetch(model, file):
        raise NotFound(f"no report {model}/{name}", "the newest is linked from the model's page")
    return FileResponse(file, media_type="text/html", headers={"content-security-policy": DRAWN_ELSEWHERE})


@router.get("/reports/{model}/{name}/link", response_class=RedirectResponse)
def signed(ask: CurrentRequest, model: Folder, name: File) -> RedirectResponse:
    """Lead to a link that is signed now and may be given away while it lasts; where none can be, to the page here."""
    try:
        link = ask.platform.drift_report.link(model, name)
    except Unsupported:
        link = f"/reports/{model}/{name}"
    return RedirectResponse(
        link, status_code=303, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"}
    )
