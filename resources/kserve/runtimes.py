"""KServe predictors that run KServe's own serving runtimes; our collector gathers their request logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from loopline.platform_core.errors import NotFound, Unsupported
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.prediction_log.collected import (
    CYCLE,
    FEATURES,
    KEYS_HEADER,
    LENGTH_HEADER,
    MODEL,
    TIME_HEADER,
    VERSION,
)
from loopline.resources.kserve import per_version
from loopline.resources.kubernetes.endpoint_manifests import budget, labels, named, placement, resources
from loopline.resources.object_store.grouped import filled
from loopline.resources.object_store.groups import version_place

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served
    from loopline.resources.kserve.serving import KServeServing
    from loopline.resources.kubernetes.endpoint_manifests import Manifest

_ARTEFACTS = {("lightgbm", "lightgbm"): "model.bst", ("pickle", "sklearn"): "model.pkl"}
"""By the package's kind and the format: the name under which KServe's runtime finds the fitted artefact."""
_PART = "part"


class Runtime(BaseModel):
    """Which of KServe's runtimes answers for a model, and where it finds a version.

    ``storage`` is the URI of a version, with ``{version}``; left out, a package of LightGBM's or scikit-learn's form is
    put into the store as the runtime wants it. ``runtime`` names one; left out, KServe chooses by the ``format``.
    """

    model_config = ConfigDict(extra="forbid")
    format: Literal["sklearn", "xgboost", "lightgbm", "mlflow", "huggingface", "onnx", "triton"]
    runtime: str = ""
    protocol: Literal["v1", "v2"] = "v2"
    storage: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """What is noted of a version beside its state: where it is, and what its pods say of themselves."""

    uri: str
    notes: dict[str, str]


class ForeignRuntimes:
    """The parts of models that KServe's own runtimes answer for."""

    def __init__(self, serving: KServeServing) -> None:
        self._serving = serving

    def beside(self, group: str) -> list[Manifest]:
        """Return the budget alone: the runtimes are KServe's."""
        return named([budget(group)], self._serving.namespace, group)

    def ask(self, state: DesiredState) -> None:
        """Put each version where its runtime finds it.

        Raises:
            Unsupported: a version needs what only our server does, or is not of the runtime's format.
        """
        known = [(one, self._checked(state.model, one)) for one in state.answering]
        for served, package in known:
            note = _Part(self._stored(state.model, served, package), _notes(state.model, served, package))
            self._serving.below(self._place(state.model, served.version)).write(_PART, msgspec.json.encode(note))
        self._serving.states.ask(state)  # by it the collector knows roles

    def part(self, model: str, version: str) -> Manifest:
        """Return a version's predictor."""
        serving, runtime, group = self._serving, self._serving.runtimes[model], self._serving.group(model)
        note = self._stored_part(model, version)
        answers: Manifest = {
            "name": "",
            "modelFormat": {"name": runtime.format},
            "protocolVersion": runtime.protocol,
            "storageUri": note.uri,
            "resources": resources(serving),
        }
        answers |= {"runtime": runtime.runtime} if runtime.runtime else {}
        answers |= {"args": list(runtime.args)} if runtime.args else {}
        answers |= {"env": [{"name": name, "value": value} for name, value in runtime.env.items()]}
        logger = {
            "mode": "all",
            "url": serving.collector,
            "metadataHeaders": [KEYS_HEADER, TIME_HEADER, LENGTH_HEADER],
            "metadataAnnotations": list(note.notes),
        }
        own = {
            "labels": {**labels(group), per_version.VERSION: per_version.part_name(version)},
            "annotations": note.notes,
        }
        return {
            **placement(serving, group),
            **serving.pod_template.metadata(own),
            "name": per_version.part_name(version),
            "model": answers,
            "logger": logger,
        }

    def observed(self, model: str, version: str) -> ObservedState | None:  # noqa: ARG002 - as the others
        """Know nothing but what KServe says."""
        return None

    def _checked(self, model: str, served: Served) -> manifest.Manifest | None:
        """Return a version's manifest, if its runtime does all that the version needs; None: it has none."""
        runtime = self._serving.runtimes[model]
        try:
            package = manifest.load(served.package)
        except NotFound:
            if runtime.storage:
                return None
            raise
        ours = f"leave {model} out of serving.runtimes: our own server does that"
        if package.views:
            views = ", ".join(view.view for view in package.views)
            raise Unsupported(f"{model} reads online views ({views}), which KServe's runtimes do not look up", ours)
        if package.personal:
            raise Unsupported(f"{model}: keys of {', '.join(package.personal)} would be logged as they come", ours)
        if not runtime.storage and (package.kind, runtime.format) not in _ARTEFACTS:
            problem = (
                f"version {served.version} of {model} is packaged as {package.kind}, and {runtime.format} is named"
            )
            raise Unsupported(
                problem, "say in storage where versions lie in the runtime's form, or name another format"
            )
        return package

    def _stored(self, model: str, served: Served, package: manifest.Manifest | None) -> str:
        runtime = self._serving.runtimes[model]
        if runtime.storage or package is None:
            return filled(f"runtimes.{model}.storage", runtime.storage, "use {version}", version=served.version)
        place = self._place(model, served.version)
        file = served.package / package.file
        self._serving.below(place).send(f"model/{_ARTEFACTS[package.kind, runtime.format]}", Path(file))
        return f"{self._serving.store.rstrip('/')}/{place}/model"

    def _stored_part(self, model: str, version: str) -> _Part:
        found = self._serving.below(self._place(model, version)).read(_PART)
        if found is None:
            raise NotFound(f"nothing is noted of version {version} of {model}", "deploy the version again")
        return msgspec.json.decode(found[0], type=_Part)

    def _place(self, model: str, version: str) -> str:
        return version_place(self._serving.group(model), per_version.part_name(version))


def _notes(model: str, served: Served, package: manifest.Manifest | None) -> dict[str, str]:
    features = " ".join(field.name for field in package.features) if package else ""
    return {MODEL: model, VERSION: served.version, CYCLE: served.cycle, FEATURES: features}
