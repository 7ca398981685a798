"""What a record asks and what is answered, as JSON on a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import orjson

from platform_core.contracts.event_stream import Record
from platform_core.errors import BadRequest
from platform_core.runtime.protocol import OUTPUTS, InferRequest, event_time_us

if TYPE_CHECKING:
    from platform_core.runtime.inference import Answer
    from platform_core.runtime.recipe import Recipe

Value = int | float | str | bool | None


class Asked(msgspec.Struct, frozen=True):
    """One row to score: ``{"id": .., "entities": {..}, "features": {..}, "event_time": ISO 8601}``.

    ``features`` are those that the request brings; ``event_time`` left out means the moment of the scoring.
    """

    entities: Mapping[str, int | str]
    features: Mapping[str, Value] = msgspec.field(default_factory=dict)
    id: int | str | None = None
    event_time: str | None = None


_read = msgspec.json.Decoder(Asked).decode


def parsed(value: bytes | None) -> Asked:
    """Read a record's value.

    Raises:
        BadRequest: it is no such JSON object.
    """
    try:
        return _read(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f"no request: {error}", 'send {"id": .., "entities": {..}, "features": {..}, "event_time": ..}'
        ) from error


def as_request(asked: Asked, name: str, recipe: Recipe) -> InferRequest:
    """Turn it into what the inference server would have made of a request of one row.

    Raises:
        BadRequest: the event time is none.
    """
    columns = {**asked.entities, **asked.features}
    texts = [n for n, v in columns.items() if isinstance(v, str) or (v is None and n in recipe.categories)]
    return InferRequest(
        id=name,
        rows=1,
        columns={n: [v] for n, v in columns.items()},
        texts=frozenset(texts),
        outputs=dict.fromkeys(OUTPUTS, False),
        event_time_us=None if asked.event_time is None else event_time_us(asked.event_time),
    )


def answered(key: bytes | None, asked: Asked, name: str, model: str, answer: Answer) -> Record:
    """Write an answer under the request's key; ``request_id`` is its name in the prediction log."""
    said = {"id": asked.id, "request_id": name, "entities": asked.entities, "event_time": asked.event_time}
    who = {"model": model, "version": answer.version, "cycle": answer.cycle}
    outputs = {output: values[0] for output, values in answer.outputs.items()}
    return Record(orjson.dumps(said | who | outputs), key)


def dead(key: bytes | None, value: bytes | None, name: str, reason: str) -> Record:
    """Write a record that cannot be answered as it came, with the reason as a header."""
    return Record(value or b"", key, {"reason": reason, "request_id": name})
