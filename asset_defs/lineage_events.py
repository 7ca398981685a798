"""Lineage events of a run, made from Dagster's events: what each step read and wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5

import dagster as dg

from loopline.asset_defs.keys import CYCLE_TAG, GATES, MODEL_TAG, SOURCE_TAG
from loopline.asset_defs.keys import key as key_of
from loopline.platform_core.contracts.lineage import Check, Dataset, Field, Happened, Run, RunEvent
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation.names import AssetName, versioned
from loopline.platform_core.observability.columns import Columns
from loopline.platform_core.observability.places import place_of

TAGS = {"cycle": CYCLE_TAG, "model": MODEL_TAG, "source": SOURCE_TAG}
"""Not the cause: a person's words and name may be in it."""
TABLE_VERSION, ROWS, TABLES = "table_version", ("dagster/row_count", "rows"), "tables"
DATA_VERSION = "dagster/data_version"
_STEP_EVENT_TYPES = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
}
_ENDED: Mapping[dg.DagsterEventType, Happened] = {
    dg.DagsterEventType.STEP_SUCCESS: "COMPLETE",
    dg.DagsterEventType.STEP_FAILURE: "FAIL",
}


@dataclass
class _Step:
    """A step that was to make assets or to look at them: what it did, when, and how it ended (ABORT: it did not)."""

    planned: list[dg.AssetKey] = field(default_factory=list)
    made: dict[dg.AssetKey, dg.AssetMaterialization] = field(default_factory=dict)
    looks_at: set[dg.AssetKey] = field(default_factory=set)
    checked: dict[dg.AssetCheckKey, dg.AssetCheckEvaluation] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None
    how: Happened = "ABORT"
    problem: str = ""


@dataclass(frozen=True)
class RunStory:
    """A run of a team's assets, told from its events; ids follow from the run's, so that it is told alike each time."""

    instance: dg.DagsterInstance
    run: dg.DagsterRun
    team: str
    graph: Any
    columns: Columns

    def started(self, at: float) -> Iterator[RunEvent]:
        """Tell that the run has begun; nothing of one that makes no asset of the team."""
        if self._steps:
            yield RunEvent("START", _instant(at), self._whole, tags=self._tags)

    def ended(self, how: Happened, at: float) -> Iterator[RunEvent]:
        """Tell each step's beginning and end, then the end of the run."""
        begun = [(name, step) for name, step in self._steps.items() if step.began is not None]
        for name, step in sorted(begun, key=lambda each: each[1].began or 0.0):
            yield from self._step_events(name, step, at)
        if self._steps:
            problem = f"run {self.run.run_id} failed; Dagster says why" if how == "FAIL" else ""
            yield RunEvent(how, _instant(at), self._whole, tags=self._tags, problem=problem)

    def _step_events(self, name: str, step: _Step, run_ended: float) -> Iterator[RunEvent]:
        ended = _instant(step.ended or run_ended)
        if step.planned:
            yield from self._made(name, step, ended)
        if step.checked:
            yield from self._checked(name, step, ended)

    def _made(self, name: str, step: _Step, ended: datetime) -> Iterator[RunEvent]:
        run = Run(self._job(name), uuid5(UUID(self.run.run_id), name))
        inputs, outputs = self._inputs(step), tuple(self._dataset(key) for key in sorted(step.planned, key=_name))
        assert step.began is not None
        yield RunEvent("START", _instant(step.began), run, inputs, outputs, self._whole, tags=self._tags)
        if step.made or step.how == "COMPLETE":  # of a version that its gates refuse nothing is deployed
            outputs = tuple(self._output(key, step.made[key]) for key in sorted(step.made, key=_name))
        yield RunEvent(step.how, ended, run, inputs, outputs, self._whole, step.problem, self._tags)

    def _checked(self, name: str, step: _Step, at: datetime) -> Iterator[RunEvent]:
        """Tell what a step's checks said, as a run that reads what they looked at: the specification has it so."""
        run = Run(f"{self._job(name)}.checks", uuid5(UUID(self.run.run_id), f"{name}.checks"))
        said: dict[dg.AssetKey, list[Check]] = {}
        for one in step.checked.values():  # without its words, which may hold rows
            blocks = (bool(one.blocking) or one.check_name == GATES) and one.severity == dg.AssetCheckSeverity.ERROR
            said.setdefault(one.asset_key, []).append(Check(one.check_name, one.passed, blocks))
        inputs = tuple(replace(self._dataset(key), checks=tuple(said[key])) for key in sorted(said, key=_name))
        yield RunEvent("START", at, run, inputs, (), self._whole, tags=self._tags)
        yield RunEvent("COMPLETE", at, run, inputs, (), self._whole, tags=self._tags)

    def _job(self, step: str) -> str:
        return f"{self.team}.{step.removeprefix(f'{self.team}__')}"

    @property
    def _whole(self) -> Run:
        return Run(f"{self.team}.{self.run.job_name}", UUID(self.run.run_id))

    @property
    def _tags(self) -> Mapping[str, str]:
        return {name: self.run.tags[tag] for name, tag in TAGS.items() if tag in self.run.tags}

    @cached_property
    def _steps(self) -> dict[str, _Step]:
        steps: dict[str, _Step] = {}
        for entry in self.instance.all_logs(self.run.run_id, of_type=_STEP_EVENT_TYPES):
            event = entry.get_dagster_event()
            if event.step_key is not None:
                _apply(steps.setdefault(event.step_key, _Step()), event, entry.timestamp)
        return {name: step for name, step in steps.items() if self._is_own(step)}

    def _is_own(self, step: _Step) -> bool:
        return any(key.path[0] == self.team for key in (*step.planned, *step.looks_at))

    def _inputs(self, step: _Step) -> tuple[Dataset, ...]:
        """Return the parents of a step's assets in the graph, and what the step wrote down that it read, by version."""
        parents = {parent for key in step.planned if self.graph.has(key) for parent in self.graph.get(key).parent_keys}
        read = {key: version for made in step.made.values() for key, version in _read(self.team, made).items()}
        return tuple(
            replace(self._dataset(key), fields=self._columns(key), version=read.get(key, ""))
            for key in sorted((parents | set(read)) - set(step.planned), key=_name)
        )

    def _output(self, key: dg.AssetKey, made: dg.AssetMaterialization) -> Dataset:
        version = _value(made, TABLE_VERSION)
        version = (made.tags or {}).get(DATA_VERSION, "") if version is None else version
        rows = next((found for name in ROWS if isinstance(found := _value(made, name), int)), None)
        return replace(self._dataset(key), fields=self._columns(key), version=str(version), rows=rows)

    def _dataset(self, key: dg.AssetKey) -> Dataset:
        asset = AssetName.of(key.path)
        return Dataset(_name(key), place=place_of(self.columns.platform, self.columns.team, asset) if asset else "")

    def _columns(self, key: dg.AssetKey) -> tuple[Field, ...]:
        asset = AssetName.of(key.path)
        return self.columns.of(asset) if asset else ()


def _apply(step: _Step, event: dg.DagsterEvent, at: float) -> None:
    """Take over what an event says of a step."""
    kind = event.event_type
    if kind == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED and event.asset_key:
        step.planned.append(event.asset_key)
    elif kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
        made = event.step_materialization_data.materialization
        step.made[made.asset_key] = made
    elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        step.looks_at.add(event.asset_check_planned_data.asset_key)
    elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        found = event.asset_check_evaluation_data  # of a step that is tried again, what it found last
        step.checked[found.asset_check_key] = found
    elif kind == dg.DagsterEventType.STEP_START:
        step.began = at
    else:
        step.ended, step.how = at, _ENDED[kind]
        step.problem = _problem(event) if step.how == "FAIL" else ""


def _problem(event: dg.DagsterEvent) -> str:
    """Say what kind of error it was; its words may hold rows, and stay where they are."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{error.cls_name if error else 'error'} in step {event.step_key}; Dagster's run has the words"


def _read(team: str, made: dg.AssetMaterialization) -> dict[dg.AssetKey, str]:
    """Return the table versions that a training set is pinned to, by asset."""
    tables = _value(made, TABLES)
    if not isinstance(tables, dict):
        return {}
    return {_asset(name): str(version) for name, version in tables.items() if name.startswith(f"{team}/")}


def _asset(table: str) -> dg.AssetKey:
    """Return the asset whose table it is: a view's has its version in the name."""
    view = ViewRef.of_table(table)
    return key_of(view.team, "features", versioned(view.view, view.version)) if view else key_of(*table.split("/", 2))


def _value(made: dg.AssetMaterialization, name: str) -> Any:
    found = made.metadata.get(name)
    return None if found is None else found.value


def _name(key: dg.AssetKey) -> str:
    return str(AssetName.of(key.path) or key.to_user_string())


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
