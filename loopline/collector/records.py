"""Converts a KServe request and response into a prediction log record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from loopline.collector.events import Event
from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.prediction_log.collected import (
    CYCLE,
    FEATURES,
    KEYS_HEADER,
    LENGTH_HEADER,
    MODEL,
    TIME_HEADER,
    VERSION,
)
from loopline.platform_core.runtime.prediction_log.log import Record
from loopline.platform_core.runtime.wire import protocol
from loopline.platform_core.runtime.wire.http import JSON_LENGTH, length

_SCORES = ("probability", "predict", "output-0")
_PAIR = 2
Row = dict[str, Any]


def record(request: Event, answer: Event, role: str) -> tuple[str, Record]:
    """Return the model and the record.

    Raises:
        BadRequest: the pod does not say which model it serves, or a body is none of protocols V1 and V2.
    """
    said = notes(request, answer)
    rows = _rows(request, said.get(FEATURES, "").split())
    scores = _scores(answer.body)
    if len(scores) != len(rows):
        raise BadRequest(f"{request.id!r}: {len(rows)} rows were asked and {len(scores)} answered", "see the runtime")
    given = request.headers.get(TIME_HEADER.lower())
    return said[MODEL], Record(
        request_id=request.id,
        event_time_us=protocol.event_time_us(given) if given else request.at_us,
        logged_at_us=answer.at_us,
        version=said[VERSION],
        cycle=said.get(CYCLE, ""),
        role=role,
        status=200,
        latency_ms=(answer.at_us - request.at_us) / 1000,
        scores=scores,
        keys=_keys(request.headers.get(KEYS_HEADER.lower()), len(rows)),
        features=[json.dumps(row) for row in rows],
        missing=[[] for _ in rows],
        stale=[[] for _ in rows],
        asked_at_us=request.at_us,
    )


def notes(request: Event, answer: Event) -> Mapping[str, str]:
    """Return what the pod that answered says of itself: its model and version at least.

    Raises:
        BadRequest: it does not say them, or the model's name would lead out of the log's folder.
    """
    found = answer.notes or request.notes
    model = found.get(MODEL, "")
    if not model or not found.get(VERSION) or "/" in model or model.startswith("."):
        raise BadRequest(
            f"the event {request.id!r} does not say which version answered (model {model!r})",
            "let Loopline make the InferenceService: it names the pods' annotations to the logger",
        )
    return found


def _rows(request: Event, names: Sequence[str]) -> list[Row]:
    """Return each row's features by their names, of either protocol."""
    given = request.headers.get(LENGTH_HEADER.lower())
    if given is None and (instances := _instances(request.body)) is not None:
        return [one if isinstance(one, dict) else _named(one, names) for one in instances]
    asked = protocol.decode(request.body, length({JSON_LENGTH: given.encode("utf-8", "replace")}) if given else None)
    columns: list[tuple[str, Sequence[Any]]] = list(asked.columns.items())
    for tensor in asked.wide:
        labels = names if tensor.width == len(names) else [f"{tensor.name}[{n}]" for n in range(tensor.width)]
        columns += [(label, tensor.values[n :: tensor.width]) for n, label in enumerate(labels)]
    return [{name: values[row] for name, values in columns} for row in range(asked.rows)]


def _instances(body: bytes) -> list[Any] | None:
    """Return the rows of protocol V1; None: the body is another one's."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    instances = found.get("instances") if isinstance(found, dict) else None
    return instances if isinstance(instances, list) else None


def _named(row: Any, names: Sequence[str]) -> Row:
    values = row if isinstance(row, list) else [row]
    return dict(zip(names if len(names) == len(values) else map(str, range(len(values))), values, strict=True))


def _scores(body: bytes) -> list[float]:
    """Return the number that answers each row: the last of two probabilities, else the only value.

    Raises:
        BadRequest: there is none, as of a runtime that answers in words.
    """
    try:
        said = json.loads(body)
        values = said["predictions"] if "predictions" in said else _output(said["outputs"])
        return [float(one[-1] if isinstance(one, list) and len(one) <= _PAIR else one) for one in values]
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        raise BadRequest(f"the answer holds no number a row: {error!r}", "score it in the runtime") from error


def _output(outputs: list[Row]) -> list[Any]:
    """Return the rows of the tensor that holds the scores."""
    chosen = next((one for name in _SCORES for one in outputs if one["name"] == name), outputs[0])
    data, shape = chosen["data"], chosen["shape"]
    width = len(data) // shape[0]
    return [data[n * width : (n + 1) * width] for n in range(shape[0])] if width > 1 else data


def _keys(given: str | None, rows: int) -> list[str]:
    """Return each row's keys as JSON; a caller who names none cannot be joined with labels.

    Raises:
        BadRequest: the header is no object, and no list of as many as there are rows.
    """
    try:
        found = json.loads(given or "{}")
    except (ValueError, RecursionError):
        found = None
    keys = [found] * rows if isinstance(found, dict) else found
    if not isinstance(keys, list) or len(keys) != rows or not all(isinstance(one, dict) for one in keys):
        raise BadRequest(f"{KEYS_HEADER} {given!r} names no keys of {rows} rows", "send a JSON object a row, in a list")
    return [json.dumps(one) for one in keys]
