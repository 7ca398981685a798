"""Micro-batched inference of events: each step is done for all of them together."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from loopline.platform_core.errors import BadRequest, LooplineError
from loopline.platform_core.runtime.answering.inference import Answer, Begun, Inference, answer, record
from loopline.platform_core.runtime.answering.predicting import VersionPrediction, predict_each

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import Key
    from loopline.platform_core.runtime.answering.gathering import Lookup
    from loopline.platform_core.runtime.prediction_log.log import Record
    from loopline.platform_core.runtime.wire.protocol import InferRequest

LogMany = Callable[[Sequence["Record"]], None]


def answers(
    inference: Inference, model: str, requests: Sequence[InferRequest], log: LogMany
) -> list[Answer | Exception]:
    """Answer requests of one row each as ``Inference.infer`` does, by one look-up, one prediction and one write.

    Gives for each the answer, or what its own request is to blame for.

    Raises:
        StoreUnavailable: the online store or the log does not answer.
    """
    started, asked_at_us = time.perf_counter(), inference.clock.now_us()
    found: list[Answer | Exception] = [BadRequest("not answered", "send it again")] * len(requests)
    begun: dict[int, Begun] = {}
    route = inference.route(model)
    for place, request in enumerate(requests):
        try:
            begun[place] = inference.begin(route, request, "", asked_at_us)
        except (LooplineError, TypeError, ValueError, OverflowError) as error:
            found[place] = error
    if not begun:
        return found
    version = next(iter(begun.values())).version
    recipe, lookups = version.recipe, _lookups(inference, begun)
    gathered = {
        place: recipe.gather(one.request, lookups.get(place, ()), one.event_time_us) for place, one in begun.items()
    }
    said = predict_each(version, list(gathered.values()))
    now_us, seconds = inference.clock.now_us(), (time.perf_counter() - started) / len(begun)
    records = []
    for place, predicted in zip(gathered, said, strict=True):
        if isinstance(predicted, Exception):
            found[place] = predicted
            continue
        prediction = VersionPrediction(gathered[place], recipe.keys(begun[place].request), *predicted)
        inference.freshness.count(model, prediction.gathered.uses)
        records.append(record(begun[place], prediction, now_us, seconds, inference.image))
        try:
            found[place] = answer(model, begun[place], prediction)
        except LooplineError as error:
            found[place] = error
    log(records)
    return found


def _lookups(inference: Inference, begun: dict[int, Begun]) -> dict[int, Sequence[Lookup]]:
    """Ask the online store once for all."""
    asks = {place: one.version.recipe.asks(one.request) for place, one in begun.items()}
    keys: defaultdict[str, list[Key]] = defaultdict(list)
    for asked in asks.values():
        for view, wanted in asked:
            keys[view] += wanted
    if not keys:
        return {}
    rows = dict(zip(keys, map(iter, inference.store.read(list(keys.items()))), strict=True))
    held = {place: [list(islice(rows[v], len(wanted))) for v, wanted in asked] for place, asked in asks.items()}
    return {place: begun[place].version.recipe.lookups(begun[place].request, each) for place, each in held.items()}
