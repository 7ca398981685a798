"""Loads a graph's package: its steps, and each estimator in its served form."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.model.manifest import Manifest

if TYPE_CHECKING:
    from loopline.platform_core.graphs import Graph
    from loopline.platform_core.metrics.metric import Floats
    from loopline.platform_core.runtime.model.files import File

FILE = "graph.pkl"
ESTIMATORS = "graph.json"
"""The manifest of each estimator, by the name of its step."""
_decode = msgspec.json.Decoder(dict[str, Manifest]).decode


def load(file: File, loaded: Callable[[Manifest], Callable[[Floats], Floats]]) -> Graph:
    """Read a graph; ``loaded`` gives what answers as an estimator of a manifest does.

    Raises:
        ContractBroken: the file holds no graph.
    """
    from loopline.platform_core.graphs import Graph

    graph = pickle.loads(file.read_bytes())  # noqa: S301 - a package is code, and comes from the registry
    if not isinstance(graph, Graph):
        raise ContractBroken(f"{file} holds a {type(graph).__name__} and no graph", "package the model anew")
    return graph.serving({name: loaded(manifest) for name, manifest in estimators(file).items()})


def estimators(file: File) -> dict[str, Manifest]:
    """Return the manifest of each estimator of a graph, by its step."""
    return _decode(file.with_name(ESTIMATORS).read_bytes())
