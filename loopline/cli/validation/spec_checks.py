"""Validation checks of a team's specs against each other; none imports a vendor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from loopline.cli.validation import places
from loopline.cli.validation.problems import Problem, of_error
from loopline.platform_core.errors import InvalidSpec, LooplineError
from loopline.platform_core.specs import FairAcross, LogMetric
from loopline.platform_core.specs.import_path import imported

if TYPE_CHECKING:
    from loopline.platform_core.specs import FeatureView, Model, Source, Team


def check_team(team: Team) -> Iterator[Problem]:
    """Check a team: contracts, names, and each model."""
    for source in team.sources:
        yield from check_contract(team, source)
    yield from _one_meaning(team)
    for model in team.models:
        for check in (_entities, _segments, _gates, _rollout, _judges, _drift, _quality, _reach, _numbers):
            yield from check(team, model)


def check_contract(team: Team, source: Source) -> Iterator[Problem]:
    """Check a source's contract file."""
    from loopline.platform_core.specs.contracts.odcs import read_contract

    path = team.folder / source.contract
    try:
        read_contract(path)
    except LooplineError as error:
        yield of_error(error, f"{path}:1", source.name)


def _one_meaning(team: Team) -> Iterator[Problem]:
    """Of two views or sources that share a name, only one would be seen."""
    views: dict[tuple[str, int], FeatureView] = {}
    sources: dict[str, Source] = {}
    declared = (*team.features, *(view for model in team.models for view in model.features))
    for view in declared:
        if views.setdefault((view.name, view.version), view) is not view:
            where, fix = places.of_function(view.compute), "rename one, or give it a version of its own"
            yield Problem(where, view.name, f"two views have this name and version {view.version}", fix)
    for source in (*(model.labels.source for model in team.models), *(view.source for view in declared)):
        if sources.setdefault(source.name, source) != source:
            where = places.of_call(team, "Source", source.name)
            yield Problem(where, source.name, "two sources have this name", "rename one, or share it")


def _entities(team: Team, model: Model) -> Iterator[Problem]:
    for view in model.features:
        if view.entity not in model.labels.entities:
            known = ", ".join(model.labels.entities)
            message = f"view {view.name!r} is keyed by {view.entity!r}, which the labels do not have"
            yield Problem(places.of_function(view.compute), f"{model.name}.features", message, f"use one of {known}")
    if not model.features:
        yield _problem(team, model, "features", "the model has no feature view", "name at least one")


def _segments(team: Team, model: Model) -> Iterator[Problem]:
    for gate in model.gates:
        if isinstance(gate, FairAcross) and gate.column not in model.labels.segments:
            known = ", ".join(model.labels.segments) or "none: name some in @labels(segments=...)"
            message = f"{gate.name} compares groups of {gate.column!r}, which is no segment of the labels"
            yield _problem(team, model, "gates", message, f"segments are {known}")


def _gates(team: Team, model: Model) -> Iterator[Problem]:
    names = [gate.name for gate in model.gates]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield _problem(team, model, "gates", f"two gates are called {name}", "an override could mean either: drop one")


def _rollout(team: Team, model: Model) -> Iterator[Problem]:
    percents = model.rollout.percents
    if any(not 0 < percent <= 100 for percent in percents):  # noqa: PLR2004 - percent
        yield _problem(team, model, "rollout", f"percents {percents} are not all above 0 and at most 100", "mend them")
    if any(later <= earlier for earlier, later in pairwise(percents)):
        yield _problem(team, model, "rollout", f"percents {percents} do not rise", "each step goes to more entities")
    if percents and not model.rollout.judges:
        yield _problem(team, model, "rollout", "no judge looks at the steps", "add ErrorRate, P99 or ScoreShift")
    if model.rollout.patience < 1:
        message = f"patience {model.rollout.patience:g}: doubt would take it back before the bake time is over"
        yield _problem(team, model, "rollout", message, "give it 1 bake time at least")
    shadow = model.rollout.shadow_requests
    if shadow < 0:
        yield _problem(team, model, "rollout", f"shadow_requests {shadow} is below 0", "write 0 to do without a shadow")
    if shadow > 0 and not percents and not model.rollout.judges:
        yield _problem(team, model, "rollout", "no judge looks at the shadow", "add ErrorRate, P99 or ScoreShift")
    watch = model.rollout.watch_hours
    if watch < 0:
        yield _problem(team, model, "rollout", f"watch_hours {watch:g} is below 0", "write 0 to do without a watch")
    if watch > 0 and not model.rollout.judges:
        yield _problem(team, model, "rollout", "no judge watches a promotion", "add ScoreShift or EstimatedQuality")


def _judges(team: Team, model: Model) -> Iterator[Problem]:
    for judge in model.rollout.judges:
        for problem, fix in judge.problems(model.target):
            yield _problem(team, model, "rollout", f"{judge.name}: {problem}", fix)
        if isinstance(judge, LogMetric) and isinstance(judge.metric, str):
            try:
                imported(judge.metric)
            except InvalidSpec as error:
                yield _problem(team, model, "rollout", f"{judge.name}: {error.problem}", error.fix)


def _drift(team: Team, model: Model) -> Iterator[Problem]:
    rule = model.drift
    if not 0 < rule.alarms <= rule.windows:
        message = f"{rule.alarms} alarms of {rule.windows} windows can never be, or always are"
        yield _problem(team, model, "drift", message, "ask for 1 to 'windows' alarms")
    if not 0 < rule.share <= 1:
        yield _problem(team, model, "drift", f"share {rule.share} is no share of columns", "write 0.3 for 30 percent")


def _quality(team: Team, model: Model) -> Iterator[Problem]:
    from loopline.platform_core.monitor.quality import groups

    with contextlib.suppress(LooplineError):  # a contract that cannot be read is told by its own check
        persons = groups.personal_columns(team, model)
        for column in groups.watched(model):
            if column in persons:
                error = groups.of_persons(model, column)
                yield _problem(team, model, "segments", error.problem, error.fix)
    for rule in model.fairness:
        metrics = model.target.metrics
        if not any(one.of_groups for one in metrics.values()):
            message = f"no metric of a {model.target.kind} model tells if groups are treated alike"
            yield _problem(team, model, "fairness", message, "leave fairness out")
        elif rule.within <= 0:
            yield _problem(team, model, "fairness", f"within {rule.within:g} is no distance", "write a number above 0")
        elif metrics[rule.of(model.target)].unit is None and rule.within >= 1:
            message = f"within {rule.within:g} is no distance of two shares"
            yield _problem(team, model, "fairness", message, "write 0.1 for ten percentage points")
    if model.quality.days < 1:
        yield _problem(team, model, "quality", f"windows of {model.quality.days} days", "give it 1 at least")


def _reach(team: Team, model: Model) -> Iterator[Problem]:
    from loopline.platform_core.specs.contracts.odcs import contract_of

    labels = model.labels
    if labels.reach_days is None:
        return
    with contextlib.suppress(LooplineError):  # a contract that cannot be read is told by its own check
        times = [each.name for each in contract_of(team, labels.source).columns if each.type == "timestamp"]
        if labels.time not in times:
            message = f"reach_days counts from {labels.time!r}, which is no timestamp of {labels.source.name!r}"
            fix = f"let the labels go by {' or '.join(times) or 'a timestamp of the contract'}, or leave reach_days out"
            yield Problem(places.of_function(labels.compute), f"{labels.name}.reach_days", message, fix)


def _numbers(team: Team, model: Model) -> Iterator[Problem]:
    for setting, problem, fix in model.target.problems():
        where = places.of_call(team, "Model", model.name, setting, "target")
        yield Problem(where, f"{model.name}.{setting}", problem, fix)
    if model.search.trials < 1:
        yield _problem(team, model, "search", f"{model.search.trials} trials fit nothing", "ask for at least one")
    for view in model.features:
        if view.ttl_days is not None and view.ttl_days <= 0:
            where = places.of_function(view.compute)
            yield Problem(where, f"{view.name}.ttl_days", f"{view.ttl_days} days: no row is ever fresh", "raise it")


def _problem(team: Team, model: Model, field: str, message: str, fix: str) -> Problem:
    return Problem(places.of_call(team, "Model", model.name, field), f"{model.name}.{field}", message, fix)
