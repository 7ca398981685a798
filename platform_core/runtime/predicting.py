"""What a version says of a request: its features put together, and the probabilities, or why there are none."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import NamedTuple

from platform_core.runtime.batching import MOST_ROWS, Batcher
from platform_core.runtime.pace import THREADS
from platform_core.runtime.protocol import InferRequest
from platform_core.runtime.recipe import Found, Gathered
from platform_core.runtime.routes import Version


class Said(NamedTuple):
    """What a version made of a request; no scores when it failed."""

    gathered: Gathered
    keys: list[str]
    scores: list[float] | None
    problem: str


async def said(version: Version, request: InferRequest, found: Sequence[Found], event_time_us: int) -> Said:
    """Gather and predict: with what other requests ask, at once, or in a thread when it takes long."""
    model = version.model
    if model.batcher is not None and request.rows <= MOST_ROWS:
        gathered = version.recipe.gather(request, found, event_time_us)
        return Said(gathered, version.recipe.keys(request), *await _predict_among(model.batcher, gathered))
    if request.rows <= model.inline_rows:
        return _say(version, request, found, event_time_us)
    run = asyncio.get_running_loop().run_in_executor
    return await run(THREADS, _say, version, request, found, event_time_us)


async def _predict_among(batcher: Batcher, gathered: Gathered) -> tuple[list[float] | None, str]:
    """Let the model answer for several requests at once; one that fails is its own failure, not the others'."""
    try:
        scores: list[float] = (await batcher(gathered.matrix)).tolist()
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return None, f"{type(error).__name__}: {error}"
    return _checked(scores)


def _say(version: Version, request: InferRequest, found: Sequence[Found], event_time_us: int) -> Said:
    """Gather and predict, in the event loop or in a thread."""
    gathered = version.recipe.gather(request, found, event_time_us)
    return Said(gathered, version.recipe.keys(request), *predict(version, gathered))


def predict(version: Version, gathered: Gathered) -> tuple[list[float] | None, str]:
    """Let the model answer; what it raises is its own failure and no reason to fall."""
    try:
        scores: list[float] = version.model.predict(gathered.matrix).tolist()
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return None, f"{type(error).__name__}: {error}"
    return _checked(scores)


def _checked(scores: list[float]) -> tuple[list[float] | None, str]:
    if not all(map(math.isfinite, scores)):
        return None, "a probability is no number"
    return scores, ""
