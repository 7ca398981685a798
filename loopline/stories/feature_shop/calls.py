"""Test calls to the feature shop: as SDKs make them, and malformed bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from loopline.stories.feature_shop.content import HISTORY, POPULARITY
from loopline.stories.feature_shop.team import NOW

_CUSTOMERS = [row[0] for row in HISTORY]
_ARTICLES = [row[0] for row in POPULARITY]
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Call:
    """A call for online features: what ``get_online`` takes in each language."""

    name: str
    entities: Mapping[str, Sequence[int | str]]
    features: Sequence[str] | None = None
    model: str | None = None
    at: datetime | None = NOW
    team: str = "shop"


@dataclass(frozen=True)
class Rows:
    """A call for a training set: features for ``rows`` (a list a column), or a model's own."""

    name: str
    features: Sequence[str] | None = None
    rows: Mapping[str, Sequence[Any]] | None = None
    model: str | None = None
    version: str | None = None
    as_of: datetime | None = None
    team: str = "shop"


CALLS: Sequence[Call] = (
    Call("one feature of one entity", {"customer_id": [1]}, ["history:spend"]),
    Call("every type, and integers at their edges", {"customer_id": _CUSTOMERS}, ["history"]),
    Call("numbers whose text is easily got wrong", {"article": _ARTICLES}, ["popularity"]),
    Call("a key as text is the same key", {"customer_id": ["1", "007", "-5"]}, ["history:orders"]),
    Call("an unknown key is missing", {"customer_id": [77, 1]}, ["history:article", "history:spend"]),
    Call("stale since yesterday", {"customer_id": [1, 2]}, ["history:spend"], at=NOW + timedelta(days=7)),
    Call("two versions side by side", {"customer_id": [1, 2]}, ["history@2", "history@1:spend"]),
    Call("two entities, a row each", {"article": ["vase", "12"], "customer_id": [1, 3]}, ["history", "popularity"]),
    Call("features are told once, views in the order named", {"customer_id": [1]}, ["history:member", "history"]),
    Call("those of a model that are online", {"customer_id": [1]}, model="large"),
    Call("a model over two entities", {"customer_id": [2], "article": ["vase"]}, model="popular"),
    Call("an entity that nothing needs comes back", {"customer_id": [1], "invoice": ["é/\\"]}, ["history:spend"]),
    Call("a vector is one value", {"article": ["vase", "clock", "unknown", "bowl"]}, ["likeness:meaning"]),
    Call("no rows", {"customer_id": []}, ["history:spend"]),
    Call("a time with microseconds", {"customer_id": [4]}, ["history:orders"], at=NOW + timedelta(microseconds=1)),
    Call("the platform's own clock", {"customer_id": [2]}, ["history:orders"], at=None),
    Call("unknown feature", {"customer_id": [1]}, ["history:colour"]),
    Call("unknown view", {"customer_id": [1]}, ["histories"]),
    Call("unknown version", {"customer_id": [1]}, ["history@3:spend"]),
    Call("no name of a feature", {"customer_id": [1]}, ["history spend"]),
    Call("unknown model", {"customer_id": [1]}, model="small"),
    Call("unknown team", {"customer_id": [1]}, ["history"], team="market"),
    Call("missing entity", {"article": ["vase"]}, ["history"]),
    Call("entities of different length", {"article": ["vase"], "customer_id": [1, 2]}, ["history", "popularity"]),
    Call("not served online", {"customer_id": [1]}, ["parcel"]),
    Call("nothing asked", {"customer_id": [1]}, []),
    Call("features and a model", {"customer_id": [1]}, ["history"], "large"),
)
BODIES: Mapping[str, str] = {
    "a body that is no JSON": '{"team":"shop",',
    "a body that is no object": "[]",
    "an unknown field": '{"team":"shop","features":["history"],"entities":{},"when":1}',
    "a team that is no text": '{"team":7,"features":["history"],"entities":{}}',
    "features that are no list": '{"team":"shop","features":"history","entities":{}}',
    "keys that are no list": '{"team":"shop","features":["history"],"entities":{"customer_id":1}}',
    "a key that is a truth value": '{"team":"shop","features":["history"],"entities":{"customer_id":[true]}}',
    "a key that is a fraction": '{"team":"shop","features":["history"],"entities":{"customer_id":[1.0]}}',
    "a key that is null": '{"team":"shop","features":["history"],"entities":{"customer_id":[null]}}',
    "a time that is none": '{"team":"shop","features":["history"],"entities":{"customer_id":[1]},"at":"noon"}',
    "a time without a zone": (
        '{"team":"shop","features":["history"],"entities":{"customer_id":[1]},"at":"2026-03-01T12:00:00"}'
    ),
}
ROWS: Sequence[Rows] = (
    Rows(
        "late and corrected rows, past the TTL, unknown, and a column of the caller's own",
        ["history"],
        {
            "customer_id": [1, 1, 1, 2, 7],
            "event_time": [NOW - hours * _HOUR for hours in (96, 60, 0, 0, 0)],
            "amount": [1.0, 0.1, -0.0, 1e22, None],
        },
    ),
    Rows(
        "as if asked two days ago",
        ["history:spend", "parcel"],
        {"customer_id": [1, 1], "event_time": [NOW, NOW - 5 * 24 * _HOUR]},
        as_of=NOW - 2 * 24 * _HOUR,
    ),
    Rows(
        "a vector is one value",
        ["likeness"],
        {"article": ["vase", "vase", "clock", "bowl"], "event_time": [NOW - 60 * _HOUR, NOW, NOW, NOW]},
    ),
    Rows("a model's own", model="large", as_of=NOW),
    Rows("what a version was trained on", model="large", version="1"),
    Rows("an unknown version", model="large", version="2"),
    Rows("a version at another time", model="large", version="1", as_of=NOW),
    Rows("rows without a time", ["history"], {"customer_id": [1]}),
    Rows("rows without the entity", ["history"], {"event_time": [NOW]}),
    Rows("a view that was never materialized", ["popularity"], {"article": ["vase"], "event_time": [NOW]}),
)
