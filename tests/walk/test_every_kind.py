"""Every kind of models through the whole loop in process: landed, learnt, live, drifted, learnt anew, judged by labels.

A kind adds itself with a sample in ``tests/walk/kinds/samples.py``: what its labels are of the same small orders,
what is fitted to them, and what is to become of it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.cli.validation.moved_names import moved_names as moved_names_told
from loopline.cli.validation.problems import Problem
from loopline.platform_core import targets
from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import InvalidSpec, Unsupported
from loopline.platform_core.foundation.names import raw_table, realised_table, scores_table
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import raw
from loopline.platform_core.monitor.drift import moved_names
from loopline.platform_core.monitor.quality import fairness_verdicts, quality_figures
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.scoring import batch, edge
from loopline.platform_core.scoring.stream import StreamScorer
from loopline.platform_core.targets import Target
from loopline.platform_core.testing.engines.engine_tables import at
from tests.walk.kinds.sample import raw_row
from tests.walk.kinds.samples import SAMPLES, binary
from tests.walk.kinds.world import World, day_of, order_of

BEGUN = 240
"""Hours for which there are orders before anybody asks about one."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let ten days of orders land, and become features: they are the same for all kinds, so once is enough."""
    world = World(tmp_path_factory.mktemp("begun"), binary())
    world.trade(BEGUN, asking=False, a_file=20)
    world.close()
    return world.home


@pytest.fixture(scope="module", params=SAMPLES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, begun: Path) -> Iterator[World]:
    """Set up a platform with a model of the kind, where ten days have landed."""
    sample = SAMPLES[request.param]()
    kind = type(sample.target)
    with pytest.MonkeyPatch.context() as patched:
        if kind.kind not in targets.installed():  # as an installation of its distribution would have it
            own = targets.kind
            patched.setattr(targets, "kind", lambda name: kind if name == kind.kind else own(name))
        home = tmp_path_factory.mktemp(request.param) / "home"
        shutil.copytree(begun, home, ignore=shutil.ignore_patterns("serving"))  # nothing was served yet
        world = World(home, sample, BEGUN)
        yield world
        world.close()


def answers_of(rows: pa.Table, target: Target) -> np.ndarray:
    """Return what the model returned for some rows of the log."""
    return raw.of(rows) if target.width > 1 else rows["score"].to_numpy()


def validated(world: World, patched: pytest.MonkeyPatch) -> list[Problem]:
    """Return what ``loopline validate`` says of the places of the model's names."""
    file = world.home / "validated.yaml"
    file.write_text(f"name: t\nledger: sqlite:///{world.home}/l.db\n")
    patched.setenv("LOOPLINE_ENVIRONMENT", str(file))
    return list(moved_names_told([replace(world.team, models=(world.model,))]))


def test_1_the_first_model_goes_live(world: World) -> None:
    """What has landed becomes features, features and labels a training set, that a version; nothing was live."""
    assert world.platform.lake.read(raw_table("shop", "orders")).num_rows == BEGUN
    first = world.turned("first training")
    assert world.state(first)[0] == "promoted"
    assert world.live == "1"


def test_2_requests_are_answered_by_the_kind(world: World) -> None:
    """With its outputs, in its shapes; the log holds what the model returned."""
    world.trade(70, landing=False)
    target = world.sample.target
    first = {one["name"]: one for one in world.answers[0]["outputs"]}
    assert list(first) == [output.name for output in target.outputs]
    assert all(first[output.name]["datatype"] == output.datatype for output in target.outputs)
    assert all(len(first[output.name]["data"]) == output.width for output in target.outputs)
    rows, _ = world.platform.serving.predictions(world.ref.dotted)
    assert rows.num_rows == 70
    said = answers_of(rows, target)
    assert said.shape == ((70,) if target.width == 1 else (70, target.width))
    assert rows["score"].to_numpy() == pytest.approx(target.reading(said))


def test_3_a_change_is_told(world: World) -> None:
    """Dearer orders leave the profile; those of before did not."""
    assert world.drifted() == ""
    world.shifted = True
    world.trade(70)
    assert "size" in world.drifted()


def test_4_what_is_learnt_anew_is_promoted(world: World) -> None:
    """Half of the customers are answered by the candidate, then all; the judges have nothing against it."""
    cycle = world.turned(f"drift: {world.drifted()}")
    for action in ("advance", "promote"):
        world.trade(world.sample.baked_after, landing=action == "promote")
        world.looked()
        assert world.stepped() == action
    assert world.state(cycle)[0] == "promoted"
    assert world.live == "2"


def test_5_a_bad_candidate_is_taken_back(world: World) -> None:
    """It was trained on features of another sign, and passed its gates; beside the other one it is found out."""
    drill = world.turned("drill", world.sample.drill)
    world.trade(world.sample.judged_after)
    world.looked()
    assert world.stepped() == "roll_back"
    state, verdict = world.state(drill)
    assert state == "rolled_back"
    assert type(world.sample.judge).__name__ in verdict
    assert "both" in verdict, "the same rows, answered by one and replayed through the other"
    live = deployments.deployment(world.platform.ledger, world.ref)
    assert (live.stable.version, live.candidate) == ("2", None)


def test_6_late_labels_tell_the_quality_of_each_version(world: World) -> None:
    """All of them have come; figures were told before, where the kind's theory allows it, and else it says why not."""
    world.trade(30, asking=False)
    target, measured = world.sample.target, world.looked()
    assert [version.version for version in measured.versions] == ["1", "2", "3"]
    assert all(version.labelled == version.predictions for version in measured.versions)
    assert set(measured.versions[0].figures) == set(target.of_life)
    realised = world.platform.lake.read(realised_table(*world.ref))
    own = target.encoded(realised["label"]) if target.label_width == 1 else np.array(realised["label"].to_pylist())
    assert own.shape[1:] == (() if target.label_width == 1 else (target.label_width,))
    told = quality_figures.history(world.platform, world.ref)
    assert target.searched in {one.metric for one in told if not one.estimated}
    estimated = {one.metric for one in told if one.estimated}
    assert estimated >= world.sample.estimated
    assert bool(estimated) == (target.estimation is not None)
    assert target.estimation is not None or target.not_estimated


def test_7_groups_are_held_against_each_other(world: World) -> None:
    """Where a metric of the kind tells whether they are treated alike."""
    found = fairness_verdicts.history(world.platform, world.ref)
    can = any(metric.of_groups for metric in world.sample.target.metrics.values())
    assert bool(found) == bool(world.sample.fairness) == can
    assert {one.column for one in found} <= {"article"}


def test_8_a_day_is_scored_at_once(world: World) -> None:
    """Each row with the reading and the numbers that a request has."""
    day = day_of(world.hour - 30)
    done = batch.score_day(world.platform, world.team, world.model, day)
    assert (done.version, done.rows) == ("2", 24)
    rows = world.platform.lake.read(scores_table(*world.ref))
    target = world.sample.target
    assert rows["score"].to_numpy() == pytest.approx(target.reading(answers_of(rows, target)))


def test_9_a_stream_is_answered(world: World) -> None:
    """By the kind's outputs, one record each."""
    streams, ask = (
        world.platform.event_stream,
        {"entities": {"customer": 1}, "features": {"size": 7.5, "article": "toy"}},
    )
    streams.publish("shop/ask", [Record(json.dumps({"id": str(n), **ask}).encode(), b"k") for n in range(3)])
    member = streams.join("shop/ask", "g")
    scorer = StreamScorer(world.platform, world.ref, "shop/ask", "shop/say", member, lambda _: None)
    assert scorer.turn(0) == 3
    said = [json.loads(row["value"]) for row in streams.read("shop/say", {}, 10).to_pylist()]
    assert {output.name for output in world.sample.target.outputs} <= set(said[0])
    scorer.close()


def test_10_what_is_put_off_is_answered_later(world: World) -> None:
    """As it would have been at once, and logged once, under the id by which it is fetched."""
    now = world.hour
    world.clock.set(at(now))
    body = order_of(now, raw_row(now, shifted=world.shifted))
    at_once = world.server.ask(world.ref.dotted, body)
    name, later = world.server.put_off(world.ref.dotted, body)
    assert later["outputs"] == at_once["outputs"]
    world.server.log.sync()
    rows, _ = world.platform.serving.predictions(world.ref.dotted)
    logged = rows.filter(pc.is_in(rows["request_id"], pa.array([name, f"o{now}"])))
    assert sorted(logged["request_id"].to_pylist()) == sorted([name, f"o{now}"])
    first, second = answers_of(logged, world.sample.target)
    assert second == pytest.approx(first)


def test_11_a_device_gets_a_script_or_the_reason_why_not(world: World, tmp_path: Path) -> None:
    """Of a row's only number; what is more is answered by the endpoint."""
    live = deployments.deployment(world.platform.ledger, world.ref).stable
    sample = batch._rows(world.platform, world.team, world.model.batch, day_of(world.hour - 30))
    rows = sample.append_column("last_weight", sample["size"])
    if world.sample.at_the_edge:
        assert edge.export(live.package, live.version, rows, tmp_path / "edge").rows == 24
    else:
        with pytest.raises(Unsupported, match=f"is a {world.sample.target.kind} model.*endpoint"):
            edge.export(live.package, live.version, rows, tmp_path / "edge")


def test_12_training_sees_what_was_served(world: World) -> None:
    """Each answered row, feature by feature."""
    found = skew.check(world.platform, world.team, world.model)
    assert sum(one.rows for one in found) > 0
    assert sum(one.differing for one in found) == 0


def test_13_names_keep_their_places(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the live version: what it answered would be read as something else."""
    target, model = world.sample.target, world.model
    moved_names.refuse(world.platform, world.ref, target)
    if target.placed:
        setting = next(one.name for one in fields(target) if getattr(target, one.name) == target.placed)
        world.model = replace(model, target=replace(target, **{setting: target.placed[::-1]}))
        said = f"a_{target.kind}: '{target.placed[-1]}' is number 1 .* number {len(target.placed)} in version 2, which"
        for refused in (lambda: world.turned("reordered"), world.looked):
            with pytest.raises(InvalidSpec, match=said):
                refused()
        (told,) = validated(world, monkeypatch)
        assert re.search(said.partition(" ")[2], told.message)
        longer = replace(target, **{setting: (*target.placed, "another")})
        moved_names.refuse(world.platform, world.ref, longer)
        world.model = model
