"""A model written in YAML: the fields of ``specs.Model``, with import paths where Python passes functions.

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
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.located_yaml import Located, Place, load
from loopline.platform_core.specs.batch import Batch
from loopline.platform_core.specs.business_hours import business_hours
from loopline.platform_core.specs.estimate_judge import EstimatedQuality
from loopline.platform_core.specs.features import FeatureView
from loopline.platform_core.specs.gates import AtLeast, AtMost, BeatsChampion, FairAcross, Gate
from loopline.platform_core.specs.import_path import imported
from loopline.platform_core.specs.judges import P99, ErrorRate, Judge
from loopline.platform_core.specs.labels import Labels
from loopline.platform_core.specs.log_judge import LogMetric
from loopline.platform_core.specs.model import Drift, Model, Requirements, Rollout, Skew
from loopline.platform_core.specs.paired_judges import ScoreShift, Slower
from loopline.platform_core.specs.quality import Fairness, Quality
from loopline.platform_core.specs.quality_judge import RealisedQuality
from loopline.platform_core.specs.search import Choice, Range, Search, searched
from loopline.platform_core.specs.slo import Slo
from loopline.platform_core.specs.typed_entry import typed_entry
from loopline.platform_core.specs.yaml_problems import Problem, of_validation

GATES = {"at_least": AtLeast, "at_most": AtMost, "beats_champion": BeatsChampion, "fair_across": FairAcross}
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


def _hours(text: str) -> str:
    try:
        if text:
            business_hours(text)
    except InvalidSpec as error:
        raise ValueError(f"{error.problem}; {error.fix}") from error
    return text


def _declared(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Let pydantic tell, with its line, what a declaration itself refuses."""
    try:
        return handler(value)
    except InvalidSpec as error:
        raise ValueError(f"{error.problem}; {error.fix}") from error


def _searched(name: str) -> str:
    try:
        return searched(name).name
    except InvalidSpec as error:
        raise ValueError(f"{error.problem}; {error.fix}") from error


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, frozen=True)

    def fields(self) -> dict[str, Any]:
        """Return the values by name."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class SearchFile(_Strict):
    """``specs.Search`` in YAML."""

    trials: int
    space: dict[str, Dimension] = Field(default_factory=dict)
    metric: Annotated[str, AfterValidator(_searched)] = Search.metric
    parallel: int = Field(Search.parallel, ge=0)


class RolloutFile(_Strict):
    """``specs.Rollout`` in YAML."""

    percents: tuple[int, ...] = Rollout.percents
    bake_minutes: float = Rollout.bake_minutes
    min_requests: int = Rollout.min_requests
    judges: tuple[JudgeEntry, ...] = Rollout.judges
    shadow_requests: int = Rollout.shadow_requests
    hours: Annotated[str, AfterValidator(_hours)] = Rollout.hours
    patience: float = Rollout.patience
    watch_hours: float = Rollout.watch_hours


class BatchFile(_Strict):
    """``specs.Batch`` in YAML: ``rows`` is the import path of a view."""

    rows: str
    start: date
    wait_days: int = Batch.wait_days


class ModelFile(_Strict):
    """``specs.Model`` in YAML: ``features``, ``labels`` and ``fit`` are import paths.

    A gate's or judge's ``type`` is one of ``GATES`` or ``JUDGES``, or the import path of a class of the team's own.
    """

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    features: tuple[str, ...] = Field(min_length=1)
    labels: str
    fit: str
    search: SearchFile = SearchFile(trials=1)
    gates: tuple[GateEntry, ...] = Model.gates
    rollout: RolloutFile = RolloutFile()
    drift: Drift = Drift()
    skew: Skew = Skew()
    slo: Slo = Slo()
    compute: Requirements = Requirements()
    threshold: float = Model.threshold
    owner: str = Model.owner
    description: str = Model.description
    retention_days: int | None = Field(Model.retention_days, ge=1)
    segments: tuple[str, ...] = Model.segments
    quality: Annotated[Quality, WrapValidator(_declared)] = Quality()
    fairness: tuple[Annotated[Fairness, WrapValidator(_declared)], ...] = Model.fairness
    source_checks: Literal["hold", "warn"] = Model.source_checks
    sites: tuple[str, ...] = Model.sites
    batch: BatchFile | None = None

    def to_model(self) -> Model:
        """Import what the paths name.

        Raises:
            InvalidSpec: a path names nothing, or something else.
        """
        named = {
            "features": tuple(imported(path, FeatureView) for path in self.features),
            "labels": imported(self.labels, Labels),
            "fit": imported(self.fit),
            "search": Search(**self.search.fields()),
            "rollout": Rollout(**self.rollout.fields()),
            "batch": self.batch and Batch(**{**self.batch.fields(), "rows": imported(self.batch.rows, FeatureView)}),
        }
        return Model(**{**self.fields(), **named})

    def broken_paths(self) -> Iterator[tuple[Place, InvalidSpec]]:
        """Yield where an import path does not name what it should, and why."""
        paths: list[tuple[Place, str, type | None]] = [
            *((("features", i), path, FeatureView) for i, path in enumerate(self.features)),
            (("labels",), self.labels, Labels),
            (("fit",), self.fit, None),
            *([(("batch", "rows"), self.batch.rows, FeatureView)] if self.batch else ()),
        ]
        for place, path, wanted in paths:
            try:
                imported(path, wanted)
            except InvalidSpec as error:
                yield place, error


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
        broken = list(ModelFile.model_validate(attributes).broken_paths())
    except ValidationError as error:
        return of_validation(document, place, error)
    found = [Problem.at(document, place, where, f"{error.problem}; {error.fix}") for where, error in broken]
    return sorted(set(found))


def _attributes(document: Located) -> tuple[Place, Any]:
    if isinstance(document.data, dict) and "attributes" in document.data:
        return ("attributes",), document.data["attributes"]
    return (), document.data
