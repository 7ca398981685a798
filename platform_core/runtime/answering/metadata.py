"""Server and model metadata responses."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from loopline.platform_core.runtime.answering.recipe import Recipe
from loopline.platform_core.runtime.answering.routes import Route, Version
from loopline.platform_core.runtime.wire import outputs
from loopline.platform_core.runtime.wire.tensors import TEXT

_EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")


def server() -> dict[str, Any]:
    """Describe the server."""
    return {"name": "loopline", "version": version("loopline"), "extensions": list(_EXTENSIONS)}


def model(name: str, route: Route, chosen: Version) -> dict[str, Any]:
    """Describe a model by one of its versions; ``parameters`` say what is live, and which cycle made it."""
    recipe = chosen.recipe
    requested = [
        (feature, TEXT if feature in recipe.texts else "FP64", _width(recipe, feature)) for feature in recipe.requested
    ]
    inputs = [*((entity, TEXT, 0) for entity in recipe.entities), *requested]
    answered = chosen.model.outputs.each
    return {
        "name": name,
        "versions": [found.served.version for found in route.versions],
        "platform": f"loopline_{chosen.model.manifest.kind}",
        "inputs": [_tensor(*described) for described in inputs],
        "outputs": [{"name": o.name, "datatype": o.datatype, "shape": outputs.shape(o, -1)} for o in answered],
        "parameters": _live(route) | _form(chosen),
    }


def _live(route: Route) -> dict[str, Any]:
    live = {
        "generation": route.generation,
        "stable_version": route.stable.served.version,
        "stable_cycle": route.stable.served.cycle,
    }
    if route.candidate is None:
        return live
    return live | {
        "candidate_version": route.candidate.served.version,
        "candidate_cycle": route.candidate.served.cycle,
        "candidate_percent": route.split.percent,
    }


def _form(version: Version) -> dict[str, Any]:
    """Say in which form a version is served, whether requests share predictions, and why; and what it explains by."""
    explainer = version.model.explainer
    explains = {"contributions": list(explainer.columns)} if explainer and not explainer.trouble else {}
    return {"form": version.model.manifest.parity.why, "batching": version.model.batching.why, **explains}


def _width(recipe: Recipe, feature: str) -> int:
    """Say how many values a row has: 0 for one that stands alone, -1 for any number."""
    return -1 if feature in recipe.lists else recipe.widths.get(feature, 0)


def _tensor(name: str, datatype: str, width: int = 0) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1, width] if width else [-1]}
