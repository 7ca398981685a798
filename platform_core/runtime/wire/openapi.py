"""OpenAPI 3.1 document of the server's REST API."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from loopline.platform_core.runtime.wire.outputs import shape
from loopline.platform_core.runtime.wire.tensors import DATATYPES, TEXT

if TYPE_CHECKING:
    from loopline.platform_core.targets import Output

Json = dict[str, Any]


def document(outputs: Sequence[Output]) -> Json:
    """Describe every path, and the outputs that the models have."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Open Inference Protocol V2, as Loopline speaks it",
            "version": version("loopline"),
            "description": "JSON, or JSON followed by binary tensors (header Inference-Header-Content-Length); gzip and"
            " deflate both ways.",
        },
        "paths": _server() | _models(),
        "components": {"schemas": _schemas(outputs)},
    }


def _server() -> Json:
    ready = _answers({"type": "object", "required": ["ready"], "properties": {"ready": {"type": "boolean"}}})
    live = _answers({"type": "object", "required": ["live"], "properties": {"live": {"type": "boolean"}}})
    metrics = {"200": {"description": "Prometheus' text format", "content": {"text/plain": {}}}}
    return {
        "/v2": {"get": _operation("what the server is", _answers(_ref("Server")))},
        "/v2/health/live": {"get": _operation("whether the process lives", live)},
        "/v2/health/ready": {
            "get": _operation("whether every model was tried, and any answers", ready | {"503": ready["200"]})
        },
        "/metrics": {"get": _operation("counters", metrics)},
        "/v2/models": {"get": _operation("which models there are", _answers(_ref("Models")))},
        "/v2/models/stats": {"get": _operation("how much each was asked", _answers(_ref("Statistics")))},
        "/v2/repository/index": {"post": _index()},
    }


def _index() -> Json:
    told = _operation("each version, as Triton's clients ask for it", _answers(_ref("Index"), 400))
    asked = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
    return told | {"requestBody": {"content": {"application/json": {"schema": asked}}}}


def _models() -> Json:
    paths: Json = {}
    for at, given in (
        ("/v2/models/{model}", ["model"]),
        ("/v2/models/{model}/versions/{version}", ["model", "version"]),
    ):
        named = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in given]
        infer = _operation("answer", _answers(_ref("Answer"), 400, 404, 413, 500, 503))
        infer["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref("Request")}}}
        paths |= {
            at: {"parameters": named, "get": _operation("what it takes", _answers(_ref("Model"), 404, 503))},
            f"{at}/ready": {"parameters": named, "get": _operation("is it live", _answers(_ref("Ready"), 404, 503))},
            f"{at}/infer": {"parameters": named, "post": infer},
            f"{at}/config": {"parameters": named, "get": _operation("Triton's", _answers(_ref("Config"), 404, 503))},
            f"{at}/stats": {"parameters": named, "get": _operation("counts", _answers(_ref("Statistics"), 404, 503))},
        }
    return paths


def _schemas(outputs: Sequence[Output]) -> Json:
    text, whole = {"type": "string"}, {"type": "integer"}
    free = {"type": ["object", "null"]}
    tensor = {"name": text, "datatype": {"enum": list(DATATYPES)}, "shape": {"type": "array", "items": whole}}
    data = {"type": "array", "items": {"type": ["number", "string", "boolean", "null", "array"]}}
    configured = {"name": text, "data_type": text, "dims": {"type": "array", "items": whole}}
    counted = {"name": text, "version": text, "inference_stats": {"type": "object"}}
    counted |= dict.fromkeys(("last_inference", "inference_count", "execution_count"), whole)
    described = {"type": "array", "items": _object(tensor)}
    given = _object(tensor | {"data": data, "parameters": free}, optional=["data", "parameters"])
    names = [one.name for one in outputs]
    wanted = _object({"name": {"enum": names} if names else text, "parameters": free}, optional=["parameters"])
    answered = {"anyOf": [_output(one) for one in outputs]} if outputs else {"type": "object"}
    return {
        "Error": _object({"error": text}),
        "Server": _object({"name": text, "version": text, "extensions": {"type": "array", "items": text}}),
        "Models": _object({"models": {"type": "array", "items": text}}),
        "Index": {
            "type": "array",
            "items": _object(
                {"name": text, "version": text, "reason": text}
                | {"state": {"enum": ["READY", "UNAVAILABLE", "LOADING"]}}
            ),
        },
        "Config": _object(
            {"name": text, "platform": text, "backend": text, "max_batch_size": whole, "parameters": free}
            | {part: {"type": "array", "items": _object(configured)} for part in ("input", "output")}
        ),
        "Statistics": _object({"model_stats": {"type": "array", "items": _object(counted)}}),
        "Ready": _object({"name": text, "ready": {"const": True}}),
        "Model": _object(
            {"name": text, "platform": text, "versions": {"type": "array", "items": text}, "parameters": free}
            | {"inputs": described, "outputs": described}
        ),
        "Request": _object(
            {"id": {"type": ["string", "null"]}, "parameters": free}
            | {"inputs": {"type": "array", "items": given, "minItems": 1}}
            | {"outputs": {"type": ["array", "null"], "items": wanted}},
            optional=["id", "parameters", "outputs"],
        ),
        "Answer": _object(
            {"id": text, "model_name": text, "model_version": text, "parameters": free}
            | {"outputs": {"type": "array", "items": answered}}
        ),
    }


def _output(one: Output) -> Json:
    """Describe an output of an answer; one that goes out as bytes has no data."""
    values = {"type": "string" if one.datatype == TEXT else ["number", "boolean", "null"]}
    given = [{"const": size} if size > 0 else {"type": "integer"} for size in shape(one, -1)]
    return _object(
        {"name": {"const": one.name}, "datatype": {"const": one.datatype}}
        | {"shape": {"type": "array", "prefixItems": given, "minItems": len(given), "maxItems": len(given)}}
        | {"data": {"type": "array", "items": values}, "parameters": {"type": "object"}},
        optional=["data", "parameters"],
    )


def _object(properties: Json, optional: list[str] | None = None) -> Json:
    required = [name for name in properties if name not in (optional or [])]
    return {"type": "object", "required": required, "properties": properties}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(summary: str, responses: Json) -> Json:
    return {"summary": summary, "responses": responses}


def _answers(schema: Json, *errors: int) -> Json:
    """Give the answer of this schema, and the errors of these statuses."""
    refused = {"description": "an error", "content": {"application/json": {"schema": _ref("Error")}}}
    good = {"description": "an answer", "content": {"application/json": {"schema": schema}}}
    return {"200": good} | {str(status): refused for status in errors}
