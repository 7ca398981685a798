"""What a version says of a request: its features put together, and the probabilities, or why there are none."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from loopline.platform_core.runtime.answering.gathering import Gathered, Lookup
from loopline.platform_core.runtime.answering.routes import Version
from loopline.platform_core.runtime.model.batching import MOST_ROWS, Batcher
from loopline.platform_core.runtime.model.models import Matrix
from loopline.platform_core.runtime.model.thread_choice import THREADS
from loopline.platform_core.runtime.wire.protocol import InferRequest

Predicted = tuple[list[float] | None, str]
"""A probability a row, or None and what went wrong."""


class VersionPrediction(NamedTuple):
    """What a version made of a request; no scores when it failed."""

    gathered: Gathered
    keys: list[str]
    scores: list[float] | None
    problem: str


async def gather_and_predict(
    version: Version, request: InferRequest, lookups: Sequence[Lookup], event_time_us: int
) -> VersionPrediction:
    """Gather and predict: with what other requests ask, at once, or in a thread when it takes long."""
    model = version.model
    if model.batcher is not None and request.rows <= MOST_ROWS:
        gathered = version.recipe.gather(request, lookups, event_time_us)
        matrix = version.recipe.matrix(gathered.rows)
        return VersionPrediction(gathered, version.recipe.keys(request), *await _predict_among(model.batcher, matrix))
    if request.rows <= model.inline_rows:
        return _gather_and_predict(version, request, lookups, event_time_us)
    run = asyncio.get_running_loop().run_in_executor
    return await run(THREADS, _gather_and_predict, version, request, lookups, event_time_us)


async def _predict_among(batcher: Batcher, matrix: Matrix) -> Predicted:
    """Let the model answer for several requests at once; one that fails is its own failure, not the others'."""
    try:
        scores: list[float] = (await batcher(matrix)).tolist()
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return None, f"{type(error).__name__}: {error}"
    return _checked(scores)


def _gather_and_predict(
    version: Version, request: InferRequest, found: Sequence[Lookup], event_time_us: int
) -> VersionPrediction:
    """Gather and predict, in the event loop or in a thread."""
    gathered = version.recipe.gather(request, found, event_time_us)
    return VersionPrediction(
        gathered, version.recipe.keys(request), *predict(version, version.recipe.matrix(gathered.rows))
    )


def predict(version: Version, matrix: Matrix) -> Predicted:
    """Let the model answer; what it raises is its own failure and no reason to fall."""
    try:
        scores: list[float] = version.model.predict(matrix).tolist()
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return None, f"{type(error).__name__}: {error}"
    return _checked(scores)


def predict_each(version: Version, batch: Sequence[Gathered]) -> list[Predicted | Exception]:
    """Let the model answer requests; an exception is what the request's own features raise.

    All at once where a row's probability is the same among others to the last bit; if that fails, each alone.
    """
    if version.model.rows_apart and len(batch) > 1:
        try:
            matrix = version.recipe.matrix([row for one in batch for row in one.rows])
            scores = iter(version.model.predict(matrix).tolist())
        except Exception:  # noqa: BLE001, S110 - who is to blame shows below
            pass
        else:
            return [_checked(list(islice(scores, len(one.rows)))) for one in batch]
    return [_alone(version, one) for one in batch]


def _alone(version: Version, one: Gathered) -> Predicted | Exception:
    try:
        return predict(version, version.recipe.matrix(one.rows))
    except Exception as error:  # noqa: BLE001 - it is the request's
        return error


def _checked(scores: list[float]) -> Predicted:
    if not all(map(math.isfinite, scores)):
        return None, "a probability is no number"
    return scores, ""
