"""JSON format of stream scoring: requests, answers and dead records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeGuard

import msgspec
import orjson

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import BadRequest, Unsupported
from loopline.platform_core.runtime.wire.protocol import AS_JSON, InferRequest, event_time_us

if TYPE_CHECKING:
    from loopline.platform_core.runtime.answering.inference import Answer
    from loopline.platform_core.runtime.answering.recipe import Recipe

Value = int | float | str | bool | list[float | str] | None


class ScoringRow(msgspec.Struct, frozen=True):
    """One row to score: ``{"id": .., "entities": {..}, "features": {..}, "event_time": ISO 8601}``.

    ``features`` are those that the request brings; ``event_time`` left out means the moment of the scoring.
    """

    entities: Mapping[str, int | str]
    features: Mapping[str, Value] = msgspec.field(default_factory=dict)
    id: int | str | None = None
    event_time: str | None = None


_SAID = frozenset({"id", "request_id", "entities", "event_time", "model", "version", "cycle"})
"""What an answer says beside the outputs."""
_read = msgspec.json.Decoder(ScoringRow).decode
_LEAST, _MOST = -(2**63), 2**64 - 1
"""Whole numbers between these can be written as JSON that everybody reads."""


def parsed(value: bytes | None) -> ScoringRow:
    """Read a record's value; a feature beyond 64 bits becomes the float that the model sees.

    Raises:
        BadRequest: it is no such JSON object, or holds a number that is too large.
    """
    try:
        asked = _read(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f"no request: {error}", 'send {"id": .., "entities": {..}, "features": {..}, "event_time": ..}'
        ) from error
    return _sized(asked)


def _sized(asked: ScoringRow) -> ScoringRow:
    wrong = [name for name, value in (("id", asked.id), *asked.entities.items()) if _is_large(value)]
    if wrong:
        raise BadRequest(f"{', '.join(wrong)}: a whole number beyond 64 bits", "send a smaller one, or text")
    large = {name: _as_float(name, value) for name, value in asked.features.items() if _is_large(value)}
    return msgspec.structs.replace(asked, features={**asked.features, **large}) if large else asked


def _is_large(value: Value) -> TypeGuard[int]:
    return type(value) is int and not _LEAST <= value <= _MOST


def _as_float(name: str, value: int) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise BadRequest(f"feature {name!r} holds a number beyond float64", "send a smaller number") from error


def as_request(asked: ScoringRow, name: str, recipe: Recipe) -> InferRequest:
    """Turn it into what the inference server would have made of a request of one row.

    Raises:
        BadRequest: the event time is none, or a list is given where the model takes one value.
    """
    known = recipe.widths.keys() | recipe.lists
    if lists := [name for name, value in asked.features.items() if isinstance(value, list) and name not in known]:
        raise BadRequest(f"{', '.join(lists)}: a list, where the model takes one value", recipe.expected())
    if mixed := [name for name, value in asked.features.items() if _mixes(value, texts=name in recipe.texts)]:
        raise BadRequest(f"{', '.join(mixed)}: text and numbers are mixed up in a list", recipe.expected())
    return one_row(asked, name, recipe, None if asked.event_time is None else event_time_us(asked.event_time))


def one_row(asked: ScoringRow, name: str, recipe: Recipe, at_us: int | None) -> InferRequest:
    """Make a request of what is sound already, at an instant in µs."""
    columns = {**asked.entities, **asked.features}
    texts = [n for n, v in columns.items() if isinstance(v, str) or (v is None and n in recipe.texts) or _is_texts(v)]
    return InferRequest(
        id=name,
        rows=1,
        columns={n: [v] for n, v in columns.items()},
        texts=frozenset(texts),
        outputs=AS_JSON,
        event_time_us=at_us,
    )


def _mixes(value: Value, *, texts: bool) -> bool:
    """Say whether a list holds other than texts, or than numbers where there should be none."""
    return isinstance(value, list) and any(isinstance(one, str) != texts for one in value)


def _is_texts(value: Value) -> bool:
    """Say whether it is a list of nothing but text."""
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def answered(key: bytes | None, asked: ScoringRow, name: str, model: str, answer: Answer) -> Record:
    """Write an answer under the request's key, each output by its name; ``request_id`` is the prediction log's."""
    said = {
        "id": asked.id,
        "request_id": name,
        "entities": asked.entities,
        "event_time": asked.event_time,
        "model": model,
        "version": answer.version,
        "cycle": answer.cycle,
    }
    for output, values in answer.outputs.items():
        said[output] = values[0]
    return Record(orjson.dumps(said), key)


def refuse_hiding(model: str, outputs: Iterable[str]) -> None:
    """Refuse outputs in whose place an answer says something else.

    Raises:
        Unsupported: there are some.
    """
    if hiding := sorted(_SAID.intersection(outputs)):
        raise Unsupported(
            f"{model} has outputs {', '.join(hiding)}, and answers on a stream say something else by that name",
            "let the kind of model name them otherwise, or ask the endpoint",
        )


def dead(key: bytes | None, value: bytes | None, name: str, reason: str) -> Record:
    """Write a record that cannot be answered as it came, with the reason as a header."""
    return Record(value or b"", key, {"reason": reason, "request_id": name})
