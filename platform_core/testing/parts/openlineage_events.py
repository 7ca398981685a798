"""Parser of OpenLineage JSON for tests: validated against the specification's schemas, then turned into events.

``openlineage-python`` generates its classes from the published JSON schemas; here they become schemas again. Each facet
is held to the one that it names by ``_schemaURL``.
"""

from __future__ import annotations

import enum
import inspect
import json
import types
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker
from openlineage.client import event_v2, facet_v2
from openlineage.client.generated import base

from loopline.platform_core.contracts.lineage import Check, Dataset, Field, Origin, Run, RunEvent

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ALWAYS = {"_producer", "_schemaURL", "producer", "schemaURL", "eventTime"}
_FORMATS = {"runId": "uuid", "eventTime": "date-time", "_producer": "uri", "producer": "uri", "schemaURL": "uri"}
_FACETS = ("facets", "inputFacets", "outputFacets")
_CHECKER = FormatChecker()
_URL = "https://openlineage.io/spec/"


def checked(line: str) -> Mapping[str, Any]:
    """Return a run event as JSON.

    Raises:
        AssertionError: it is not what the specification says; with all faults.
    """
    event: Mapping[str, Any] = json.loads(line)
    faults = [*_faults(event_v2.RunEvent, event), *_facet_faults(event)]
    assert not faults, "\n".join(faults)
    return event


def read(line: str, namespace: str = "loopline") -> RunEvent:
    """Turn a run event back into ours; everything in it is in that namespace."""
    event = checked(line)
    facets = event["run"].get("facets", {})
    parent, error, tags = (facets.get(name, {}) for name in ("parent", "errorMessage", "tags"))
    ours = [event["job"], *map(_own, (*event["inputs"], *event["outputs"])), *([parent["job"]] if parent else [])]
    assert {place["namespace"] for place in ours} == {namespace}
    names = {_where(one): _own(one)["name"] for one in event["inputs"]}
    return RunEvent(
        event["eventType"],
        datetime.fromisoformat(event["eventTime"]),
        Run(event["job"]["name"], UUID(event["run"]["runId"])),
        tuple(_dataset(one, names) for one in event["inputs"]),
        tuple(_dataset(one, names) for one in event["outputs"]),
        Run(parent["job"]["name"], UUID(parent["run"]["runId"])) if parent else None,
        error.get("message", ""),
        {tag["key"]: tag["value"] for tag in tags.get("tags", [])},
    )


def _own(one: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the platform calls a dataset: its other name, where it is named by its place."""
    others = one.get("facets", {}).get("symlinks", {}).get("identifiers", [])
    return others[0] if others else one


def _where(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["namespace"], one["name"]


def _dataset(one: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> Dataset:
    facets = one.get("facets", {})
    origins = facets.get("columnLineage", {}).get("fields", {})
    fields = tuple(
        Field(f["name"], f["type"], tuple(_origin(o, names) for o in origins.get(f["name"], {}).get("inputFields", [])))
        for f in facets.get("schema", {}).get("fields", [])
    )
    rows = one.get("outputFacets", {}).get("outputStatistics", {}).get("rowCount")
    version = facets.get("version", {}).get("datasetVersion", "")
    said = one.get("inputFacets", {}).get("dataQualityAssertions", {}).get("assertions", [])
    place = "" if _own(one) is one else _place(*_where(one))
    return Dataset(_own(one)["name"], fields, version, rows, place, tuple(map(_check, said)))


def _place(namespace: str, name: str) -> str:
    """Put a place together again as the specification says: it is the URI without what was cut."""
    return name if namespace == "file" else f"{namespace}/{name.lstrip('/')}"


def _origin(one: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> Origin:
    same = one["transformations"][0].get("subtype") == "IDENTITY"
    return Origin(names.get(_where(one), one["name"]), one["field"], same)


def _check(one: Mapping[str, Any]) -> Check:
    return Check(one["assertion"], one["success"], one["severity"] == "error")


def _facet_faults(value: Any) -> Iterator[str]:
    """Hold every facet, wherever it is, to its own schema."""
    if isinstance(value, list):
        for item in value:
            yield from _facet_faults(item)
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        yield from _facet_faults(item)
        for facet, content in item.items() if name in _FACETS else ():
            url = content.get("_schemaURL", "")
            its = _classes().get(url.rpartition("/")[2])
            if its is None or not url.startswith(_URL) or _address(its) != url:
                yield f"{name}.{facet}: no facet is at {url!r}"
            else:
                yield from _faults(its, content)


def _address(facet: Any) -> str:
    return str(facet._get_schema())  # noqa: SLF001 - where the class keeps it


def _faults(of: type, value: Any) -> Iterator[str]:
    validator = Draft202012Validator(_schema(of), format_checker=_CHECKER)
    for error in validator.iter_errors(value):
        yield f"{of.__name__} {'.'.join(map(str, error.path))}: {error.message}"


def _has_zone(value: str) -> bool:
    return datetime.fromisoformat(value).tzinfo is not None


_CHECKER.checks("date-time", ValueError)(_has_zone)


@cache
def _classes() -> dict[str, type]:
    modules = [module for module in vars(facet_v2).values() if isinstance(module, types.ModuleType)]
    found = [item for module in modules for item in vars(module).values() if isinstance(item, type)]
    return {item.__name__: item for item in found if issubclass(item, base.BaseFacet)}


@cache
def _schema(of: type) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    return {**_defined(of, definitions), "$defs": definitions}


def _defined(of: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """Refer to a class's schema, after it was put among the definitions; a class may hold itself."""
    name = f"{of.__module__.rpartition('.')[2]}.{of.__name__}"
    if name not in definitions:
        definitions[name] = {}
        hints, fields = get_type_hints(of), _fields(of)
        definitions[name] = {
            "type": "object",
            "properties": {each.name: _typed(each.name, hints[each.name], definitions) for each in fields},
            "required": [each.name for each in fields if _must_be(of, each) or each.name in _ALWAYS],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def _fields(of: Any) -> tuple[Any, ...]:
    return tuple(of.__attrs_attrs__)


def _must_be(of: type, field: Any) -> bool:
    """Say whether an object cannot be made without a field; some are not given, but always the same."""
    return bool(field.init) and inspect.signature(of).parameters[field.alias].default is inspect.Parameter.empty


def _typed(name: str, hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Turn a type of Python into a schema; a facet in a table of facets is looked at by itself."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        (own,) = (each for each in arguments if each is not type(None))  # left out, never null
        return _typed(name, own, definitions)
    if origin is list:
        return {"type": "array", "items": _typed("", arguments[0], definitions)}
    if origin is dict:
        of = arguments[1]
        apart = not hasattr(of, "__attrs_attrs__") or issubclass(of, base.BaseFacet)
        return {"type": "object"} | ({} if apart else {"additionalProperties": _typed("", of, definitions)})
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]} | ({"format": _FORMATS[name]} if name in _FORMATS else {})
    if issubclass(hint, enum.Enum):
        return {"enum": [each.value for each in hint]}
    return _defined(hint, definitions)
