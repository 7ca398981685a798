"""Model card and EU AI Act Annex IV file of a version, for download."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response

from loopline.platform_core.cards import known
from loopline.platform_core.cards.annex import annex
from loopline.platform_core.cards.model_card import card
from loopline.platform_core.foundation.names import ModelRef
from loopline.portal.page_request import JSON, CurrentRequest, wants_json
from loopline.portal.pages.params import ModelInPath, TeamInPath

router = APIRouter()
Version = Annotated[str, Path(pattern=r"^[\w.-]+$", max_length=64)]
WRITTEN: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}, JSON: {"schema": {"type": "object"}}}}
}
_MAKES = {"card": card, "annex": annex}


@router.get("/models/{team}/{model}/versions/{version}/{what}", response_class=Response, responses=WRITTEN)
def written(
    ask: CurrentRequest, team: TeamInPath, model: ModelInPath, version: Version, what: Literal["card", "annex"]
) -> Response:
    """Write what is known of a version as Markdown, or as JSON where that is asked for."""
    ref = ModelRef(team, model)
    owner = next((one for one in ask.portal.teams if one.name == team), None)
    found = _MAKES[what](known.read(ask.platform, ref, version, owner, ask.portal.declared(ref)))
    if wants_json(ask.request):
        return Response(json.dumps(found.to_json(), ensure_ascii=False), media_type=JSON)
    return Response(found.to_markdown(), media_type="text/plain; charset=utf-8")
