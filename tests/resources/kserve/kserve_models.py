"""KServe's own models, as its client package has them; run in the peer's environment, which holds that package.

``python kserve_models.py unknown`` reads manifests as JSON and prints what no model knows; ``definitions`` prints
definitions of KServe's resources whose schema is made from the models.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import kserve
from kubernetes import client

KINDS = {
    "InferenceService": ("V1beta1InferenceService", "v1beta1", "inferenceservices"),
    "ServingRuntime": ("V1alpha1ServingRuntime", "v1alpha1", "servingruntimes"),
}
GROUP = "serving.kserve.io"
_SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "datetime": "string"}
_LEFT_OPEN = {"object", "K8sIoApimachineryPkgApiResourceQuantity", "KnativeURL", "KnativeVolatileTime"}


def model(name: str) -> Any:
    """Return a model's class; None: the package has none of that name, and says nothing of such a value."""
    return getattr(kserve, name, None) or getattr(client, name, None)


def unknown(kind: str, value: Any, place: str) -> list[str]:
    """List the fields below a value that its model does not have, and values that are of another kind."""
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{place}: no list"]
        return [said for n, one in enumerate(value) for said in unknown(inner[1], one, f"{place}[{n}]")]
    if inner := re.fullmatch(r"dict\(\w+, (.+)\)", kind):
        return [said for name, one in value.items() for said in unknown(inner[1], one, f"{place}.{name}")]
    if kind in _SIMPLE:
        fits = isinstance(value, {"str": str, "int": int, "float": (int, float), "bool": bool}.get(kind, object))
        return [] if fits else [f"{place}: {value!r} is no {kind}"]
    known = model(kind)
    if known is None or kind in _LEFT_OPEN:
        return []
    types = {known.attribute_map[name]: of for name, of in known.openapi_types.items()}
    said = [f"{place}.{name}" for name in value if name not in types]
    return said + [
        word for name, one in value.items() if name in types for word in unknown(types[name], one, f"{place}.{name}")
    ]


def schema(kind: str, depth: int = 0) -> dict[str, Any]:
    """Return a structural schema of a model; what no model describes is left open."""
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        return {"type": "array", "items": schema(inner[1], depth + 1)}
    if inner := re.fullmatch(r"dict\(\w+, (.+)\)", kind):
        return {"type": "object", "additionalProperties": schema(inner[1], depth + 1)}
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    known = model(kind)
    if known is None or kind in _LEFT_OPEN or depth > 12:
        return {"x-kubernetes-preserve-unknown-fields": True}
    found = {known.attribute_map[name]: schema(of, depth + 1) for name, of in known.openapi_types.items()}
    return {"type": "object", "properties": found}


def definition(kind: str) -> dict[str, Any]:
    """Return the definition of a kind, from its model."""
    name, version, plural = KINDS[kind]
    types = model(name).openapi_types
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": schema(types["spec"]), "status": status}
    one = {
        "name": version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    names = {"kind": kind, "plural": plural, "singular": kind.lower()}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [one]}
    metadata = {"name": f"{plural}.{GROUP}"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"} | {
        "metadata": metadata,
        "spec": spec,
    }


def main() -> None:
    """Answer as JSON."""
    if sys.argv[1] == "definitions":
        answer: Any = [definition(kind) for kind in KINDS]
    else:
        found = [one for one in json.load(sys.stdin) if one["kind"] in KINDS]
        answer = [said for one in found for said in unknown(KINDS[one["kind"]][0], one, one["kind"])]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
