"""What goes over the wire, without the wire: requests as bytes, answers as results, when to try again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import orjson

from loopline_client.errors import BadRequest, Conflict, FeatureError, NotFound, Unavailable
from loopline_client.training import ARROW, TrainingSet, arrow_body, columns

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline_client.online import Key

    Rows: TypeAlias = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] | pa.Table

JSON = "application/json"
MOST_DELAY_SECONDS = 10.0
_SENDABLE = "send numbers of 64 bits, text, truth values or datetimes"
_STATUS: Mapping[int, type[FeatureError]] = {404: NotFound, 409: Conflict}
_SERVER_ERROR, _UNAVAILABLE = 500, 503


@dataclass(frozen=True)
class Post:
    """A request: path, body, and what goes with them."""

    path: str
    content: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": JSON})
    params: tuple[tuple[str, str], ...] = ()


def online(
    team: str,
    features: Sequence[str] | None,
    model: str | None,
    entities: Mapping[str, Sequence[Key]],
    at: datetime | None,
) -> Post:
    """Ask for online features; the same call gives the same bytes in every language."""
    return Post("/features/online", _body(team=team, features=features, model=model, entities=entities, at=at))


def training(  # noqa: PLR0913, PLR0917 - the fields of the request
    team: str,
    features: Sequence[str] | None,
    model: str | None,
    version: str | None,
    rows: Rows | None,
    as_of: datetime | None,
    accept: str,
) -> Post:
    """Ask for a training set; rows that are an Arrow table travel as such, all others as JSON."""
    path = "/features/training-set"
    if rows is None or isinstance(rows, Mapping | Sequence):
        given = None if rows is None else columns(rows)
        body = _body(team=team, features=features, model=model, version=version, rows=given, as_of=as_of)
        return Post(path, body, {"content-type": JSON, "accept": accept})
    fields = [("team", team), *(("features", name) for name in features or ())]
    fields += [("as_of", _text(as_of))] if as_of else []
    return Post(path, arrow_body(rows), {"content-type": ARROW, "accept": accept}, tuple(fields))


def training_set(response: httpx.Response) -> TrainingSet:
    """Read the answer to a request for a training set."""
    return TrainingSet(
        response.content, response.headers["content-type"], response.headers.get("loopline-training-set")
    )


def error(response: httpx.Response) -> FeatureError:
    """Read an answer that is no success."""
    status = response.status_code
    try:
        told = orjson.loads(response.content)["error"]
        problem, fix = str(told["problem"]), str(told["fix"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        problem, fix = f"{response.url} answered {status}", "see whether the URL is that of a feature service"
    if status == _UNAVAILABLE:
        return Unavailable(problem, fix, status, _seconds(response.headers.get("retry-after")))
    return _STATUS.get(status, FeatureError if status >= _SERVER_ERROR else BadRequest)(problem, fix, status)


def unreachable(url: str, cause: httpx.TransportError) -> Unavailable:
    """Say that nothing answered in time."""
    return Unavailable(f"{url} did not answer: {cause or type(cause).__name__}", "see whether the service runs")


def delay_seconds(failure: Unavailable, attempt: int, retries: int) -> float:
    """Return how long to wait before the next attempt; ``attempt`` counts from 0.

    Raises:
        Unavailable: it was the last one.
    """
    if attempt >= retries:
        raise failure
    wanted = 0.05 * 2**attempt if failure.delay_seconds is None else failure.delay_seconds
    return min(wanted, MOST_DELAY_SECONDS)


def _body(**fields: Any) -> bytes:
    """Write fields in their order, those that are None left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return orjson.dumps(given, _text, orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, BadRequest):
            raise error.__cause__ from None
        raise BadRequest(f"the request is not JSON: {error}", _SENDABLE) from error


def _text(value: Any) -> str:
    """Write an instant as ISO 8601 UTC with six digits.

    Raises:
        BadRequest: it has no time zone, or is no instant.
    """
    if not isinstance(value, datetime):
        raise BadRequest(f"{value!r} is nothing that JSON can hold", _SENDABLE)
    if value.tzinfo is None:
        raise BadRequest(f"time {value.isoformat()} has no time zone", "give one, for example tzinfo=UTC")
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None
