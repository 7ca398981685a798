"""Prediction of one version for a request: gathers its features and calls the model, or says why it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from loopline.platform_core.runtime.answering.gathering import Gathered, Lookup
from loopline.platform_core.runtime.answering.routes import Version
from loopline.platform_core.runtime.model.batching import MOST_ROWS, Batcher
from loopline.platform_core.runtime.model.given import Given
from loopline.platform_core.runtime.model.models import LoadedModel
from loopline.platform_core.runtime.model.readings import Predicted, failed, read, read_each, told
from loopline.platform_core.runtime.model.thread_choice import THREADS
from loopline.platform_core.runtime.wire.protocol import InferRequest


class VersionPrediction(NamedTuple):
    """What a version made of a request; no scores when it failed, ``raw`` where a row has more numbers than one."""

    gathered: Gathered
    keys: list[str]
    scores: list[float] | None
    problem: str
    raw: list[list[float]] | None = None


async def gather_and_predict(
    version: Version, request: InferRequest, lookups: Sequence[Lookup], event_time_us: int
) -> VersionPrediction:
    """Gather and predict: with what other requests ask, at once, or in a thread when it takes long."""
    model = version.model
    if model.batcher is not None and request.rows <= MOST_ROWS:
        gathered = version.recipe.gather(request, lookups, event_time_us)
        matrix = version.recipe.matrix(gathered.rows)
        said = await _predict_among(model, model.batcher, matrix)
        return VersionPrediction(gathered, version.recipe.keys(request), *said)
    if request.rows <= model.inline_rows:
        return _gather_and_predict(version, request, lookups, event_time_us)
    run = asyncio.get_running_loop().run_in_executor
    return await run(THREADS, _gather_and_predict, version, request, lookups, event_time_us)


async def _predict_among(model: LoadedModel, batcher: Batcher, matrix: Given) -> Predicted:
    """Let the model answer for several requests at once; one that fails is its own failure, not the others'."""
    try:
        raw = await batcher(matrix)
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return failed(told(error))
    return read(model.target, raw)


def _gather_and_predict(
    version: Version, request: InferRequest, found: Sequence[Lookup], event_time_us: int
) -> VersionPrediction:
    """Gather and predict, in the event loop or in a thread."""
    gathered = version.recipe.gather(request, found, event_time_us)
    return VersionPrediction(
        gathered, version.recipe.keys(request), *predict(version, version.recipe.matrix(gathered.rows))
    )


def predict(version: Version, matrix: Given) -> Predicted:
    """Let the model answer; what it raises is its own failure and no reason to fall."""
    try:
        raw = version.model.predict(matrix)
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return failed(told(error))
    return read(version.model.target, raw)


def predict_each(version: Version, batch: Sequence[Gathered]) -> list[Predicted | Exception]:
    """Let the model answer requests; an exception is what the request's own features raise.

    All at once where a row's prediction is the same among others to the last bit, else the artefact is asked for each
    and the target makes raw predictions of what it gave to all; if that fails, each alone.
    """
    model, given, matrix = version.model, version.model.given, version.recipe.matrix
    if len(batch) > 1 and (model.rows_apart or given is not None):
        try:
            if model.rows_apart or given is None:
                raw = model.predict(matrix([row for one in batch for row in one.rows]))
            else:
                raw = model.target.served(np.concatenate([given(matrix(one.rows)) for one in batch]))
            return [*read_each(model.target, raw, [len(one.rows) for one in batch])]
        except Exception:  # noqa: BLE001, S110 - who is to blame shows below
            pass
    return [_alone(version, one) for one in batch]


def _alone(version: Version, one: Gathered) -> Predicted | Exception:
    try:
        return predict(version, version.recipe.matrix(one.rows))
    except Exception as error:  # noqa: BLE001 - it is the request's
        return error
