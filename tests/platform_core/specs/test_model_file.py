"""A model in YAML is the model that Python would have declared, and a broken one says where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
import yaml

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs import (
    P99,
    AtLeast,
    BeatsChampion,
    Choice,
    Count,
    Drift,
    ErrorRate,
    Evidence,
    Experiment,
    FairAcross,
    Gate,
    Guardrail,
    LogMetric,
    Model,
    Multiclass,
    Range,
    Reading,
    RealisedQuality,
    Requirements,
    Rollout,
    ScoreShift,
    Search,
    Team,
)
from loopline.platform_core.specs.yaml_files.model_file import ModelFile, problems, read_model_file

GOOD = """\
type: asset_defs.LooplineModel
attributes:
  name: again
  features: ["retail.features:customer_history"]
  labels: retail.labels:ordered_again_within_30_days
  fit: retail.fit:boosted_trees
  search:
    trials: 3
    space:
      learning_rate: {low: 0.01, high: 0.1, log: true}
      leaves: {values: [7, 15]}
  gates:
    - {type: at_least, metric: roc_auc, bound: 0.6}
    - {type: beats_champion, metric: roc_auc, tolerance: 0.01}
    - {type: fair_across, metric: recall, column: country, within: 0.2}
  rollout:
    percents: [10, 100]
    judges:
      - {type: error_rate, at_most: 0.01}
      - {type: p99, at_most: 50}
      - {type: score_shift, at_most: 0.5}
    shadow_requests: 200
  drift: {min_rows: 700}
  compute: {cpu: 2}
"""
BARE = {"name": "m", "features": ["retail.features:order_shape"], "labels": "retail.labels:cancelled_within_30_days"}


@dataclass(frozen=True)
class NoLuck(Gate):
    """A gate of a team's own."""

    luck: int = 0

    def judge(self, evidence: Evidence) -> Reading:
        """Never pass by luck."""
        return Reading(evidence.metrics.get(self.metric), self.luck, passed=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write the good file."""
    path = tmp_path / "defs.yaml"
    path.write_text(GOOD)
    return path


def test_is_the_model_that_python_would_declare(file: Path) -> None:
    """Every field of the file arrives as a spec, with the specs' own defaults for the rest."""
    from retail.features import customer_history
    from retail.fit import boosted_trees
    from retail.labels import ordered_again_within_30_days

    assert read_model_file(file) == Model(
        "again",
        features=(customer_history,),
        labels=ordered_again_within_30_days,
        fit=boosted_trees,
        search=Search(3, {"learning_rate": Range(0.01, 0.1, log=True), "leaves": Choice((7, 15))}),
        gates=(
            AtLeast("roc_auc", 0.6),
            BeatsChampion("roc_auc", 0.01),
            FairAcross("recall", column="country", within=0.2),
        ),
        rollout=Rollout((10, 100), judges=(ErrorRate(0.01), P99(50), ScoreShift(0.5)), shadow_requests=200),
        drift=Drift(min_rows=700),
        compute=Requirements(cpu=2),
    )
    assert problems(file) == []


def test_a_plain_mapping_needs_no_component_around_it(file: Path) -> None:
    """The attributes alone are a model's file, and what is left out has the defaults of ``specs.Model``."""
    file.write_text(yaml.safe_dump({**BARE, "fit": "retail.fit:boosted_trees"}))
    model = read_model_file(file)
    assert model == Model("m", model.features, model.labels, model.fit)


def test_judges_of_labels_and_of_the_log_and_the_hours(file: Path) -> None:
    """A metric over the log is named by its import path; hours are text."""
    judges = """{type: realised_quality, at_most: 0.02, metric: brier}
      - {type: log_metric, at_most: 0.1, metric: 'retail.fit:boosted_trees'}"""
    text = GOOD.replace("{type: p99, at_most: 50}", judges)
    file.write_text(
        text.replace(
            "shadow_requests: 200", "hours: Mon-Fri 09:00-17:00 Europe/London\n    patience: 2\n    watch_hours: 24"
        )
    )
    rollout = read_model_file(file).rollout
    assert rollout.judges[1:3] == (
        RealisedQuality(0.02, metric="brier"),
        LogMetric(0.1, metric="retail.fit:boosted_trees"),
    )
    assert (rollout.hours, rollout.patience, rollout.watch_hours) == ("Mon-Fri 09:00-17:00 Europe/London", 2, 24)


def test_a_gate_of_the_team_is_named_by_its_class(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own fields are checked as those of the platform's gates are."""
    monkeypatch.setattr("retail.labels.NoLuck", NoLuck, raising=False)
    gate = "{type: at_least, metric: roc_auc, bound: 0.6}"
    file.write_text(GOOD.replace(gate, "{type: 'retail.labels:NoLuck', metric: roc_auc, luck: 7}"))
    assert read_model_file(file).gates[0] == NoLuck("roc_auc", 7)
    file.write_text(GOOD.replace(gate, "{type: 'retail.labels:NoLuck', metric: roc_auc, luck: much}"))
    assert [(problem.line, problem.field) for problem in problems(file)] == [(13, "gates.0.luck")]


CLASSES = (
    GOOD[: GOOD.index("  gates:")]
    + """\
  target: {type: multiclass, classes: [bag, lamp]}
  gates:
    - {type: at_least, metric: macro_f1, bound: 0.6}
  rollout:
    judges:
      - {type: realised_quality, at_most: 0.02, metric: log_loss}
"""
)


def test_a_target_is_a_kind_with_its_settings(file: Path) -> None:
    """By the kind's name, or by a class of a team's own; a search goes by the kind's own metric."""
    file.write_text(CLASSES)
    assert problems(file) == []
    model = read_model_file(file)
    assert (model.target, model.searched) == (Multiclass(("bag", "lamp")), "log_loss")
    own = "{type: 'loopline.platform_core.targets.count:Count', power: 1.2}"
    file.write_text(GOOD[: GOOD.index("  gates:")] + f"  target: {own}\n")
    assert read_model_file(file).target == Count(power=1.2)


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    """The error of the reader names each, in order of lines, as ``file:line: field: message``."""
    file.write_text(GOOD.replace("trials: 3", "trials: x").replace("bound: 0.6", "bound: x"))
    with pytest.raises(InvalidSpec) as caught:
        read_model_file(file)
    first, second = caught.value.problem.split("; ")
    assert first.startswith(f"{file}:8: search.trials: ")
    assert second.startswith(f"{file}:13: gates.0.bound: ")


@pytest.mark.parametrize(("text", "line"), [("a: [", 1), ("name: x\nb: ]", 2), ("3", 1), ("attributes: 3", 1)])
def test_what_is_no_mapping_is_a_problem_too(file: Path, text: str, line: int) -> None:
    """Text that is no YAML, or YAML that is no model, has one problem in its line."""
    file.write_text(text)
    assert [problem.line for problem in problems(file)] == [line]


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    """The problem names the path."""
    [problem] = problems(tmp_path / "none.yaml")
    assert problem.file == str(tmp_path / "none.yaml")


def test_dagster_can_describe_the_attributes() -> None:
    """The component's schema is made of the same class."""
    schema = ModelFile.model_json_schema()
    assert set(schema["required"]) == {"name", "features", "labels"}


def test_a_team_takes_models_from_files(file: Path) -> None:
    """They stand beside those of Python; a name that is taken is refused."""
    team = Team("shop", file.parent).with_files(file.name)
    assert [model.name for model in team.models] == ["again"]
    with pytest.raises(InvalidSpec, match="again"):
        team.with_files(file.name)


def test_a_batch(file: Path) -> None:
    """Rows are a view by its import path, days begin at a date; what names no view is told by its line."""
    batch = '  batch: {rows: "retail.features:order_shape", start: 2011-01-01, wait_days: 2}\n'
    file.write_text(GOOD + batch)
    found = read_model_file(file).batch
    assert (found.rows.name, found.start, found.wait_days) == ("order_shape", date(2011, 1, 1), 2)
    file.write_text(GOOD + batch.replace("features:order_shape", "labels:cancelled_within_30_days"))
    assert [(problem.line, problem.field) for problem in problems(file)] == [(GOOD.count("\n") + 1, "batch.rows")]


EXPERIMENT = """\
  experiments:
    - name: again
      outcome: retail.labels:ordered_again_within_30_days
      effect: 0.02
      per: sum
      days: 2
      wait_days: 30
      guardrails:
        - {outcome: error_rate, at_most: 0.01}
        - {outcome: "retail.labels:cancelled_within_30_days", at_most: 0}
    - {name: sure, outcome: log_loss, effect: 0.01}
"""


def test_experiments(file: Path) -> None:
    """Each as Python would have declared it: an outcome is a metric, or labels by their import path."""
    from retail.labels import cancelled_within_30_days, ordered_again_within_30_days

    file.write_text(GOOD + EXPERIMENT)
    rails = Guardrail("error_rate", 0.01), Guardrail(cancelled_within_30_days, 0)
    again = Experiment("again", ordered_again_within_30_days, 0.02, per="sum", days=2, wait_days=30, guardrails=rails)
    assert read_model_file(file).experiments == (again, Experiment("sure", "log_loss", 0.01))


IN_A_MODEL = [
    ("  name: again\n", "", 2, "name"),
    ("name: again", "name: 2nd try", 3, "name"),
    ('["retail.features:customer_history"]', "[]", 4, "features"),
    ("retail.features:customer_history", "retail.features:customers", 4, "features.0"),
    ("retail.features:customer_history", "retail.fit:boosted_trees", 4, "features.0"),
    ("labels: retail.labels:ordered", "labels: retail.lables:ordered", 5, "labels"),
    ("fit: retail.fit:boosted_trees", "fit: retail.fit:SAME", 6, "fit"),
    ("fit: retail.fit:boosted_trees", "fit: boosted_trees", 6, "fit"),
    ("trials: 3", "trials: some", 8, "search.trials"),
    ("high: 0.1, ", "", 10, "search.space.learning_rate.high"),
    ("values: [7, 15]", "values: 7", 11, "search.space.leaves.values"),
    ("type: at_least", "type: at_leest", 13, "gates.0"),
    ("type: at_least", "type: 'retail.fit:boosted_trees'", 13, "gates.0"),
    (", bound: 0.6", "", 13, "gates.0.bound"),
    ("metric: roc_auc, bound: 0.6", "metric: rocauc, bound: 0.6", 13, "gates.0"),
    ("metric: roc_auc, bound: 0.6", "metric: brier, bound: 0.6", 13, "gates.0"),
    ("trials: 3", "trials: 3\n    metric: rocauc", 9, "search.metric"),
    ("min_rows: 700}", "min_rows: 700}\n  quality: {metrics: [rocauc]}", 24, "quality"),
    ("min_rows: 700}", "min_rows: 700}\n  fairness: [{column: country, metric: rocauc}]", 24, "fairness.0"),
    ("tolerance: 0.01", "tolerance: 0.01, sloth: 3", 14, "gates.1.sloth"),
    ("percents: [10, 100]", "percents: [10, all]", 17, "rollout.percents.1"),
    ("{type: p99, at_most: 50}", "p99", 20, "rollout.judges.1"),
    ("{type: p99, at_most: 50}", "{type: realised_quality, at_most: 1, metric: f1}", 20, "rollout.judges.1"),
    ("{type: p99, at_most: 50}", "{type: log_metric, at_most: 0.1}", 20, "rollout.judges.1.metric"),
    ("{type: p99, at_most: 50}", "{type: log_metric, at_most: 2, metric: 'a:b'}", 20, "rollout.judges.1"),
    ("shadow_requests: 200", "hours: Mon-Fri 9-17 UTC", 22, "rollout.hours"),
    ("min_rows: 700", "min_row: 700", 23, "drift.min_row"),
    ("compute: {cpu: 2}", "computer: {cpu: 2}", 24, "computer"),
    ("compute: {cpu: 2}", "compute: {cpu: -2}", 24, "compute"),
    ("compute: {cpu: 2}", "compute: {cpu: .nan}", 24, "compute"),
    ("compute: {cpu: 2}", "compute: {memory_gb: .inf}", 24, "compute"),
    ("compute: {cpu: 2}", "compute: {gpu: -1}", 24, "compute"),
    ("compute: {cpu: 2}", "compute: {workers: 0}", 24, "compute"),
]
IN_A_TARGET = [
    ("type: multiclass", "type: multiclas", (12, "target"), "one of binary, multiclass"),
    ("[bag, lamp]", "[bag, bag]", (12, "target"), "bag named twice"),
    ("[bag, lamp]", "[bag, 2]", (12, "target"), "not of one type"),
    ("[bag, lamp]", "[yes, no]", (12, "target"), "in quotes"),
    ("[bag, lamp]", "bag", (12, "target.classes"), "tuple"),
    ("[bag, lamp]", "[bag, lamp], colours: 3", (12, "target.colours"), "no field"),
    ("classes: [bag, lamp]", "top_k: 1", (12, "target"), "0 classes"),
    ("type: multiclass, classes: [bag, lamp]", "type: regression, unit: 3", (12, "target.unit"), "string"),
    ("metric: macro_f1", "metric: roc_auc", (14, "gates.0"), "no metric of a multiclass model"),
    ("metric: log_loss", "metric: brier", (17, "rollout.judges.0"), "no metric of a multiclass model"),
    ("  rollout:", "  quality: {metrics: [recall]}\n  rollout:", (15, "quality.metrics.0"), "multiclass model"),
    ("  rollout:", "  threshold: 0.3\n  rollout:", (15, "threshold"), "a setting of the target"),
    ("trials: 3", "trials: 3\n    metric: recall", (9, "search.metric"), "no search metric"),
    ("trials: 3", "trials: 3\n    metric: calibration_error", (9, "search.metric"), "no search metric"),
    ("trials: 3", "trials: 3\n    metric: rmse", (9, "search.metric"), "no metric of a multiclass model"),
]
"""What the kind does not know, what says nothing, and metrics of another kind."""
IN_AN_EXPERIMENT = [
    ("effect: 0.02", "effect: 0", (2, "experiments.0"), "effect 0 is none"),
    ("days: 2", "days: 2\n      weeks: 3", (7, "experiments.0.weeks"), "no field"),
    ("per: sum", "per: median", (5, "experiments.0.per"), "'mean' or 'sum'"),
    ("outcome: retail.labels:ordered", "outcome: retail.labels:odd", (3, "experiments.0.outcome"), "has no 'odd"),
    (
        "labels:cancelled_within_30_days",
        "fit:boosted_trees",
        (10, "experiments.0.guardrails.1.outcome"),
        "is no Labels",
    ),
    ("outcome: log_loss", "outcome: rmse", (11, "experiments.1"), "no outcome of a binary model"),
    ("at_most: 0.01", "at_most: -1", (2, "experiments.0"), "below 0"),
]
"""What no experiment can be, what names no labels, and a metric of another kind; lines are those below the model's."""
MISTAKES = [
    *(("", GOOD, old, new, (line, field), "") for old, new, line, field in IN_A_MODEL),
    *(("", CLASSES, *row) for row in IN_A_TARGET),
    *((GOOD, EXPERIMENT, *row) for row in IN_AN_EXPERIMENT),
]


@pytest.mark.parametrize(("above", "text", "old", "new", "where", "said"), MISTAKES)
def test_a_mistake_is_told_once_with_its_line_and_field(  # noqa: PLR0913, PLR0917 - a table's columns
    file: Path, above: str, text: str, old: str, new: str, where: tuple[int, str], said: str
) -> None:
    """Whatever is broken, one problem comes of it."""
    assert text.count(old) == 1
    file.write_text(above + text.replace(old, new))
    (found,) = problems(file)
    assert (found.line - above.count("\n"), found.field) == where, found
    assert said in found.message
