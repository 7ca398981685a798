"""Packaging of a model graph: each estimator in its fastest served form, and the steps."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.graphs.steps import unasked
from loopline.platform_core.runtime.model import graphs
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity

if TYPE_CHECKING:
    from loopline.platform_core.graphs import Graph, Predict
    from loopline.platform_core.metrics.metric import Floats

Packaged = Callable[..., Manifest]


def write(graph: Graph, file: Path, sample: Floats, packaged: Packaged) -> None:
    """Write steps and estimators into the folder of ``file``; ``packaged`` is what writes one estimator.

    An estimator is held against its served form on what it sees when the graph answers the ``sample`` (rows, columns).

    Raises:
        ContractBroken: an estimator has no form that answers as it does.
    """
    seen: dict[str, Floats] = {}
    recorded = graph.serving({one.name: _recording(one, seen) for one in graph.learners()})
    recorded.run(sample)
    manifests = {one.name: _estimator(one, file, seen.get(one.name), packaged) for one in graph.learners()}
    file.with_name(graphs.ESTIMATORS).write_bytes(msgspec.json.format(msgspec.json.encode(manifests)))
    file.write_bytes(pickle.dumps(graph.serving(dict.fromkeys(manifests, unasked)), protocol=5))


def _recording(step: Predict, seen: dict[str, Floats]) -> Callable[[Floats], Floats]:
    """Answer as a step does, and keep what it saw."""

    def answer(matrix: Floats) -> Floats:
        seen[step.name] = matrix
        return step.asked(matrix)

    return answer


def _estimator(step: Predict, file: Path, sample: Floats | None, packaged: Packaged) -> Manifest:
    """Write one estimator beside the graph."""
    if sample is None:
        raise ContractBroken(
            f"step {step.name!r} answers none of the rows that were learnt from", "leave it out, or send it rows"
        )
    names = [FeatureField(f"column {place}", "request") for place in range(sample.shape[1])]
    target = step.target.to_json()
    draft = Manifest(step.name, "pickle", "", names, [], [], {}, 0.5, "", "", Parity(0, 0.0, ""), target=target)
    with tempfile.TemporaryDirectory() as folder:
        manifest = packaged(step.estimator, draft, sample, Path(folder))
        name = f"{step.name}.{manifest.file}"
        file.with_name(name).write_bytes(Path(folder, manifest.file).read_bytes())
    return msgspec.structs.replace(manifest, file=name)
