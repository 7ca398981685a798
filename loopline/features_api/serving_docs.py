"""OpenAPI descriptions of the serving routes, whose bodies are parsed by hand."""

from __future__ import annotations

from typing import Any

from loopline.features_api.training_tables import ARROW, NDJSON

_NAMES = {
    "team": {"type": "string", "examples": ["retail"]},
    "features": {
        "type": "array",
        "items": {"type": "string"},
        "description": "`view:feature`, `view` for all of it, `view@2` for its second version",
        "examples": [["customer_history:past_spend", "customer_history:past_orders"]],
    },
    "model": {"type": "string", "description": "in place of features: those of a model"},
}
_TIME = {"type": "string", "format": "date-time"}
_KEY = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


def _columns(item: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    column = {"type": "array", "items": item}
    return {"type": "object", "additionalProperties": column, "examples": [example]}


def _object(required: list[str], forms: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Describe a body that has exactly one of ``forms``; a field that is not told is refused."""
    plain = {"type": "object", "required": required, "properties": {**_NAMES, **fields}, "additionalProperties": False}
    return {"schema": {**plain, "oneOf": forms}}


def _form(description: str, *needed: str, without: tuple[str, ...]) -> dict[str, Any]:
    return {"title": description, "required": list(needed), "properties": dict.fromkeys(without, False)}


_STATES = {
    "type": "object",
    "properties": {
        "status": {"type": "array", "items": {"enum": ["present", "missing", "stale"]}},
        "event_time": {"type": "array", "items": {"anyOf": [_TIME, {"type": "null"}]}},
    },
}
_ANSWER = {
    "type": "object",
    "properties": {
        "at": _TIME,
        "entities": _columns(_KEY, {"customer_id": [12346]}),
        "features": _columns({}, {"customer_history:past_spend": [77183.6]}),
        "views": {"type": "object", "additionalProperties": _STATES},
    },
}
ONLINE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": _object(
                ["team", "entities"],
                [
                    _form("of features", "features", without=("model",)),
                    _form("of a model", "model", without=("features",)),
                ],
                entities=_columns(_KEY, {"customer_id": [12346]}),
                at=_TIME,
            )
        },
    },
    "responses": {"200": {"description": "Values and states", "content": {"application/json": {"schema": _ANSWER}}}},
}
TRAINING: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": _object(
                ["team"],
                [
                    _form("of rows", "features", "rows", without=("model", "version")),
                    _form("of a model", "model", without=("features", "rows", "version")),
                    _form("of a model's version", "model", "version", without=("features", "rows", "as_of")),
                ],
                version={"type": "string"},
                rows=_columns({}, {"customer_id": [12346]}),
                as_of=_TIME,
            ),
            ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "parameters": [
        {"name": name, "in": "query", "schema": schema, "description": "with an Arrow body"}
        for name, schema in {"team": _NAMES["team"], "features": _NAMES["features"], "as_of": _TIME}.items()
    ],
    "responses": {"200": {"description": "Rows", "content": {kind: {} for kind in (ARROW, NDJSON)}}},
}
"""With an Arrow body the other fields are query parameters."""
