"""Of two versions each is given what the other answered: all of it, or a sample of much, timed side by side."""

from __future__ import annotations

from threading import Event

import msgspec
import pytest

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime import replay, shadow_log, states
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.testing.parts.model_packages import Column, Constant
from tests.platform_core.runtime.test_shadow import HISTORY, MODEL, Scene, ids


class Pair(Scene):
    """A serving folder whose rollout is at some percent."""

    def compare(self, percent: int = 20) -> None:
        """Ask for both versions, compared."""
        self.generation += 1
        sides = (self.made["1"], self.made["2"], percent)
        states.write_desired(self.root, DesiredState(MODEL, self.generation, *sides, paired=True))


@pytest.fixture
def pair(tmp_path):
    """Serve versions 1 and 2."""
    pair = Pair(tmp_path / "serving")
    pair.served("1", Constant(0.1))
    pair.served("2", Column(0))
    return pair


def test_each_is_given_what_the_other_answered(pair):
    """And nothing of what a third version, of before, still answered."""
    pair.compare()
    pair.answer(0.25, 0.5)
    pair.answer(0.75, version="2", worker="x")
    pair.answer(0.9, version="0", worker="y")
    rows = pair.run()
    assert sorted((row["request_id"], row["version"], row["score"]) for row in rows) == [
        ("w0.25", "2", 0.25),
        ("w0.5", "2", 0.5),
        ("x0.75", "1", 0.1),
    ]
    assert pair.run() == rows


def test_predictions_are_timed_of_both_side_by_side(pair, monkeypatch):
    """Those that are timed at all."""
    monkeypatch.setattr(replay, "TIMED", 3)
    pair.compare()
    pair.answer(0.1, 0.2, 0.3, 0.4, 0.5)
    timed = [(row["latency_ms"], row["beside_ms"]) for row in pair.run()]
    assert all(mine > 0 and beside > 0 for mine, beside in timed[:3])
    assert timed[3:] == [(None, None)] * 2


def test_in_shadow_the_stable_version_is_timed_beside(pair):
    """The candidate alone is replayed, all of it."""
    pair.want(pair.made["2"])
    pair.answer(0.25)
    (row,) = pair.run()
    assert (row["version"], row["beside_ms"] > 0) == ("2", True)


def test_from_one_percent_to_another_nothing_begins_anew(pair):
    """From the shadow to the percents the candidate goes on where it was, and the stable version begins."""
    pair.want(pair.made["2"])
    pair.answer(0.1)
    pair.answer(0.2, version="2", worker="x")
    for percent in (20, 100):
        pair.compare(percent)
        pair.answer(0.3, worker=f"y{percent}-")
        pair.answer(0.4, version="2", worker=f"z{percent}-")
    assert sorted(ids(pair.run())) == ["w0.1", "y100-0.3", "y20-0.3", "z100-0.4", "z20-0.4"]
    pair.want(None)
    assert shadow_log.begun(pair.root, MODEL) == []


def test_of_much_a_sample_is_enough(pair, monkeypatch):
    """Spread over all that came; what was passed over is not taken up later."""
    monkeypatch.setattr(replay, "SAMPLED_BYTES", 4_000)
    pair.compare()
    pair.answer(*(n / 1000 for n in range(1_000)))
    (news,) = (file.stat().st_size for file in shadow_log.answered(pair.root, MODEL))
    expected = 1_000 * 4_000 / news
    shadows = pair.process()
    shadows.step(Event())
    scores = [row["score"] for row in pair.said()]
    assert 0.5 * expected <= len(scores) <= 2 * expected
    halves = sum(score < 0.5 for score in scores)
    assert 0.2 * len(scores) < halves < 0.8 * len(scores)
    shadows.step(Event())
    assert len(pair.said()) == len(scores)
    pair.answer(0.1234)
    shadows.step(Event())
    assert pair.said()[-1]["score"] == 0.1234


def test_killed_in_the_midst_it_repeats_nothing_twice(pair, monkeypatch):
    """A new process goes on behind the frames of the old one, in each direction."""
    monkeypatch.setattr(replay, "BATCH", 3)
    pair.compare()
    pair.answer(*(n / 10 for n in range(8)))
    pair.answer(*(n / 10 for n in range(8)), version="2", worker="x")
    stop = Event()
    stop.set()
    for _ in range(12):
        pair.process().step(stop)
    rows = [(row["request_id"], row["version"]) for row in pair.run()]
    assert len(rows) == len(set(rows)) == 16


def test_a_version_that_lacks_features_keeps_the_other_way_open(pair):
    """The candidate reads what the stable version logs none of; what it answers itself is replayed through that."""
    pair.served("2", Constant(0.2), views=[HISTORY])
    pair.compare()
    pair.answer(0.1)
    pair.answer(0.3, version="2", worker="x")
    shadows = pair.process()
    shadows.step(Event())
    assert ids(pair.said()) == ["x0.3"]
    assert "version 2 reads 'orders'" in pair.problem()


def test_one_that_cannot_be_loaded_is_told_and_the_other_goes_on(pair):
    """Without its time beside."""
    pair.made["1"].package.joinpath("manifest.json").unlink()
    pair.compare()
    pair.answer(0.25)
    shadows = pair.process()
    shadows.step(Event())
    assert "holds no manifest.json" in pair.problem()
    assert pair.said() == []  # without the stable version there is nothing to pair with


def test_a_note_of_before_is_read(pair, tmp_path):
    """It named one version."""
    note = pair.root / "shadow" / "begun" / f"{MODEL}.json"
    note.parent.mkdir(parents=True)
    note.write_bytes(msgspec.json.encode({"version": "2", "offsets": {"w-000000.frames": 7}}))
    assert shadow_log.reached(pair.root, MODEL, "2") == {"w-000000.frames": 7}
    shadow_log.begin(pair.root, DesiredState(MODEL, 1, Served("1", tmp_path, "c"), shadow=pair.made["2"]))
    assert shadow_log.reached(pair.root, MODEL, "2") == {"w-000000.frames": 7}


def test_a_log_of_before_is_read(pair):
    """Frames without the newest fields."""
    pair.answer(0.5)
    (file,) = shadow_log.answered(pair.root, MODEL)
    ((record, _),) = log.each(file)
    for missing in (1, 2):
        old = msgspec.msgpack.encode(msgspec.to_builtins(record)[:-missing])
        read = msgspec.msgpack.decode(old, type=type(record))
        assert (read.scores, read.raw, read.beside_ms) == (record.scores, None, None)
