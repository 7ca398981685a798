"""Model specs in YAML: the fields of ``specs.Model``, with import paths where Python passes functions.

    name: repeat_orders
    features: ["retail.features:customer_history"]
    labels: retail.labels:ordered_again_within_30_days
    fit: retail.fit:boosted_trees
    gates: [{type: at_least, metric: roc_auc, bound: 0.6}]

They stand at the top of the file, or under ``attributes`` where Dagster reads them as a Component's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
    WrapValidator,
)

from loopline.platform_core import targets
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.located_yaml import Located, Place, load
from loopline.platform_core.specs.apart import Apart
from loopline.platform_core.specs.automatic import undeclared
from loopline.platform_core.specs.batch import Batch
from loopline.platform_core.specs.explain import Explain
from loopline.platform_core.specs.import_path import imported
from loopline.platform_core.specs.inputs import Inputs
from loopline.platform_core.specs.judges.business_hours import business_hours
from loopline.platform_core.specs.judges.estimate_judge import EstimatedQuality
from loopline.platform_core.specs.judges.gates import AtLeast, AtMost, BeatsBaseline, BeatsChampion, FairAcross, Gate
from loopline.platform_core.specs.judges.judges import P99, ErrorRate, Judge
from loopline.platform_core.specs.judges.log_judge import LogMetric
from loopline.platform_core.specs.judges.paired_judges import ScoreShift, Slower
from loopline.platform_core.specs.judges.quality_judge import RealisedQuality
from loopline.platform_core.specs.labels import Labels
from loopline.platform_core.specs.metric_check import foreign
from loopline.platform_core.specs.model import Drift, Model, Requirements, Rollout, Skew, fitted_by
from loopline.platform_core.specs.quality import Fairness, Quality
from loopline.platform_core.specs.search import Search, searched
from loopline.platform_core.specs.slo import Slo
from loopline.platform_core.specs.space import Choice, Range
from loopline.platform_core.specs.views.features import FeatureView
from loopline.platform_core.specs.yaml_files.experiment_file import ExperimentFile
from loopline.platform_core.specs.yaml_files.strict import Strict, declared
from loopline.platform_core.specs.yaml_files.typed_entry import typed_entry
from loopline.platform_core.specs.yaml_files.yaml_problems import Problem, of_validation
from loopline.platform_core.targets import Target

GATES = {
    "at_least": AtLeast,
    "at_most": AtMost,
    "beats_baseline": BeatsBaseline,
    "beats_champion": BeatsChampion,
    "fair_across": FairAcross,
}
JUDGES = {
    "error_rate": ErrorRate,
    "p99": P99,
    "estimated_quality": EstimatedQuality,
    "score_shift": ScoreShift,
    "slower": Slower,
    "realised_quality": RealisedQuality,
    "log_metric": LogMetric,
}


def _dimension(value: Any) -> str:
    return "choice" if isinstance(value, Choice) or (isinstance(value, dict) and "values" in value) else "range"


Entry = dict[str, Any]
GateEntry = Annotated[Gate, PlainValidator(partial(typed_entry, Gate, GATES), json_schema_input_type=Entry)]
JudgeEntry = Annotated[Judge, PlainValidator(partial(typed_entry, Judge, JUDGES), json_schema_input_type=Entry)]
Dimension = Annotated[Annotated[Range, Tag("range")] | Annotated[Choice, Tag("choice")], Discriminator(_dimension)]
"""``{low, high, log, whole}`` or ``{values}``; the discriminator keeps one mistake from being told twice."""


def _target(value: Any) -> Target:
    """Read ``{type: multiclass, classes: [a, b]}``."""
    if isinstance(value, dict) and value.get("type") in targets.installed():
        declared(value["type"], targets.kind)  # one that cannot be imported says so
    given = value.values() if isinstance(value, dict) else ()
    if any(isinstance(one, bool) for setting in given if isinstance(setting, list) for one in setting):
        raise ValueError("YAML reads yes and no as truth values; write them in quotes")
    found: Target = typed_entry(Target, {kind.kind: kind for kind in targets.known()}, value)
    if wrong := [f"{setting}: {problem}; {fix}" for setting, problem, fix in found.problems()]:
        raise ValueError("; ".join(wrong))
    return found


TargetEntry = Annotated[Target, PlainValidator(_target, json_schema_input_type=Entry)]


def _hours(text: str) -> str:
    try:
        if text:
            business_hours(text)
    except InvalidSpec as error:
        raise ValueError(f"{error.problem}; {error.fix}") from error
    return text


def _searched(name: str) -> str:
    try:
        return searched(name).name
    except InvalidSpec as error:
        raise ValueError(f"{error.problem}; {error.fix}") from error


class SearchFile(Strict):
    """``specs.Search`` in YAML; an estimator is a family, or the import path of a function."""

    trials: int
    space: dict[str, Dimension] = Field(default_factory=dict)
    metric: Annotated[str, AfterValidator(_searched)] = Search.metric
    parallel: int = Field(Search.parallel, ge=0)
    estimators: tuple[str, ...] = ()
    seconds: float | None = Field(None, gt=0)
    cost: float | None = Field(None, gt=0)
    ensemble: int = Field(Search.ensemble, ge=0)
    warm_start: bool = Search.warm_start

    def to_search(self) -> Search:
        """Import what is no family; see ``Search`` for what it refuses."""
        named = [one if ":" not in one else imported(one) for one in self.estimators]
        return Search(**{**self.fields(), "estimators": tuple(named)})


class RolloutFile(Strict):
    """``specs.Rollout`` in YAML."""

    percents: tuple[int, ...] = Rollout.percents
    bake_minutes: float = Rollout.bake_minutes
    min_requests: int = Rollout.min_requests
    judges: tuple[JudgeEntry, ...] = Rollout.judges
    shadow_requests: int = Rollout.shadow_requests
    hours: Annotated[str, AfterValidator(_hours)] = Rollout.hours
    patience: float = Rollout.patience
    watch_hours: float = Rollout.watch_hours


class BatchFile(Strict):
    """``specs.Batch`` in YAML: ``rows`` is the import path of a view."""

    rows: str
    start: date
    wait_days: int = Batch.wait_days


class ModelFile(Strict):
    """``specs.Model`` in YAML: ``features``, ``labels``, ``fit`` and ``watched`` are import paths.

    A gate's or judge's ``type`` is one of ``GATES`` or ``JUDGES``, or the import path of a class of the team's own.
    """

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    features: tuple[str, ...] = Field(min_length=1)
    labels: str
    fit: str = ""
    search: SearchFile = SearchFile(trials=1)
    gates: tuple[GateEntry, ...] = Model.gates
    rollout: RolloutFile = RolloutFile()
    drift: Drift = Drift()
    skew: Skew = Skew()
    slo: Slo = Slo()
    compute: Annotated[Requirements, WrapValidator(declared)] = Requirements()
    threshold: float | None = None
    target: TargetEntry = targets.usual()
    inputs: Annotated[Inputs, WrapValidator(declared)] = Model.inputs
    watched: tuple[str, ...] = ()
    apart: Annotated[Apart | None, WrapValidator(declared)] = Model.apart
    owner: str = Model.owner
    description: str = Model.description
    retention_days: int | None = Field(Model.retention_days, ge=1)
    segments: tuple[str, ...] = Model.segments
    quality: Annotated[Quality, WrapValidator(declared)] = Quality()
    fairness: tuple[Annotated[Fairness, WrapValidator(declared)], ...] = Model.fairness
    source_checks: Literal["hold", "warn"] = Model.source_checks
    training: Literal["without_corrected", "as_known"] = Model.training
    sites: tuple[str, ...] = Model.sites
    batch: BatchFile | None = None
    experiments: tuple[Annotated[ExperimentFile, WrapValidator(declared)], ...] = ()
    explain: Annotated[Explain, WrapValidator(declared)] | None = None
    intended_use: str = Model.intended_use
    limits: tuple[str, ...] = Model.limits

    def to_model(self) -> Model:
        """Import what the paths name.

        Raises:
            InvalidSpec: a path names nothing, or something else.
        """
        named = {
            "features": tuple(imported(path, FeatureView) for path in self.features),
            "labels": imported(self.labels, Labels),
            "fit": imported(self.fit) if self.fit else undeclared,
            "watched": tuple(map(imported, self.watched)),
            "search": self.search.to_search(),
            "rollout": Rollout(**self.rollout.fields()),
            "experiments": tuple(one.to_experiment() for one in self.experiments),
            "batch": self.batch and Batch(**{**self.batch.fields(), "rows": imported(self.batch.rows, FeatureView)}),
        }
        return Model(**{**self.fields(), **named})

    def broken(self) -> Iterator[tuple[Place, InvalidSpec]]:
        """Yield where an import path does not name what it should, or a metric is none of the model's kind, and why."""
        if self.threshold is not None and self.target != targets.usual():
            fix = "leave the threshold out, or give it as a setting of the target"
            yield ("threshold",), InvalidSpec("the model has a target beside it", fix)
        yield from foreign(self)
        yield from self._unfitted()
        for number, one in enumerate(self.experiments):
            yield from ((("experiments", number, *place), error) for place, error in one.broken(self.target))
        paths: list[tuple[Place, str, type | None]] = [
            *((("features", i), path, FeatureView) for i, path in enumerate(self.features)),
            (("labels",), self.labels, Labels),
            *([(("fit",), self.fit, None)] if self.fit else ()),
            *((("watched", i), path, None) for i, path in enumerate(self.watched)),
            *([(("batch", "rows"), self.batch.rows, FeatureView)] if self.batch else ()),
        ]
        for place, path, wanted in paths:
            try:
                imported(path, wanted)
            except InvalidSpec as error:
                yield place, error

    def _unfitted(self) -> Iterator[tuple[Place, InvalidSpec]]:
        """Yield why the model can be fitted by nothing, or by two."""
        try:
            fitted_by(self.name, imported(self.fit) if self.fit else undeclared, self.search.to_search(), self.target)
        except InvalidSpec as error:
            if not self.fit or self.search.estimators:
                yield ("search",) if self.search.estimators else ("fit",), error


def read_model_file(path: Path) -> Model:
    """Read a model.

    Raises:
        InvalidSpec: with every problem, each as ``file:line: field: message``.
    """
    found = problems(path)
    if found:
        raise InvalidSpec("; ".join(map(str, found)), "mend the lines")
    return ModelFile.model_validate(_attributes(load(path))[1]).to_model()


def problems(path: Path) -> list[Problem]:
    """Return what is wrong with a model's file, each problem once, in order of lines; empty when all is well."""
    try:
        document = load(path)
    except InvalidSpec as error:
        return [Problem.of_located(error)]
    place, attributes = _attributes(document)
    try:
        broken = list(ModelFile.model_validate(attributes).broken())
    except ValidationError as error:
        return of_validation(document, place, error)
    found = [Problem.at(document, place, where, f"{error.problem}; {error.fix}") for where, error in broken]
    return sorted(set(found))


def _attributes(document: Located) -> tuple[Place, Any]:
    if isinstance(document.data, dict) and "attributes" in document.data:
        return ("attributes",), document.data["attributes"]
    return (), document.data
