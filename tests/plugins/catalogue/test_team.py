"""The team of descriptions: what it declares, that it beats its baseline, and what its story's files hold."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
from catalogue.departments import DEPARTMENTS, Spelling, departments, spelling
from catalogue.story import A_DAY, TAKES_OVER, days, taxonomy

from loopline.demo.days import accepted
from loopline.platform_core import plugins
from loopline.platform_core.foundation.names import LABEL
from loopline.platform_core.specs import Examples
from loopline.platform_core.targets import Multiclass
from loopline.resources.polars.engine import PolarsEngine

ROWS = taxonomy()


def learnt(texts: list[str], rows: list[dict[str, str]]) -> Spelling:
    """Fit descriptions to the rows' departments, in one thread: several would wait for each other."""
    from threadpoolctl import threadpool_limits

    y = np.array([DEPARTMENTS.index(row["department"]) for row in rows], float)
    train = Examples(np.zeros((len(y), 0)), y, (), {}, pa.table({"description": texts}))
    with threadpool_limits(1):
        return spelling(train, train, {"c": 10.0}, lambda *_: None)


def test_spelling_sorts_more_than_the_nearest_centroid_and_stays_what_it_is_in_a_pickle() -> None:
    """In German, which writes words together, of 800 categories that it has not seen; what is missing is answered."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline

    train, test = ROWS[:500], ROWS[-800:]
    estimator = pickle.loads(pickle.dumps(learnt([row["de"] for row in train], train)))
    target = departments.target
    assert isinstance(target, Multiclass)
    raw = target.predictions(estimator, pa.table({"description": [row["de"] for row in test]}))
    y = target.encoded(pa.chunked_array([[row["department"] for row in test]]))
    right = target.values(target.rows(y, raw))["accuracy"]
    plain = make_pipeline(TfidfVectorizer(), NearestCentroid())
    plain.fit([row["de"] for row in train], [row["department"] for row in train])
    assert right > plain.score([row["de"] for row in test], [row["department"] for row in test]) + 0.05
    missing = target.predictions(estimator, pa.table({"description": pa.array([None, "", "Привет"], pa.string())}))
    assert np.allclose(missing.sum(axis=1), 1)


def test_a_department_that_nobody_learnt_has_no_chance_and_empty_texts_leave_how_frequent_they_are() -> None:
    """What the story's bad candidate answers whatever it is asked, and why its judge takes it back."""
    few = [row for row in ROWS[:300] if row["department"] != DEPARTMENTS[3]]
    answered = learnt([""] * len(few), few).predict_proba(pa.table({"description": ["Bird Food", "Sofas"]}))
    assert (answered[:, 3] == 0).all()
    shares = np.bincount([DEPARTMENTS.index(row["department"]) for row in few], minlength=len(DEPARTMENTS)) / len(few)
    assert np.allclose(answered, shares, atol=0.02)


def test_the_story_s_files_keep_the_contract_and_become_half_german() -> None:
    """Each category comes once; its department is the label, known three days later."""
    team = plugins.installed(only=["catalogue"]).team("catalogue")
    files = list(days(team))
    assert sum(day.lines for day in files) == len(ROWS) == len({row["category"] for row in ROWS}) == 8_076
    turn = next(place for place, day in enumerate(files) if day.date == TAKES_OVER)

    class Bound:
        engine = PolarsEngine()

    rows = accepted(Bound, team, departments.labels.source, files[turn - 5 : turn + 5])  # type: ignore[arg-type]
    assert rows["language"].to_pylist() == ["en"] * 5 * A_DAY + ["en", "de"] * (5 * A_DAY // 2)
    seen = Bound.engine.compute_view(departments.features[0], rows)
    english = {row["category"]: row["en"] for row in ROWS}
    same = [english[row["article"]] == row["description"] for row in seen.to_pylist()]
    assert np.mean(same[: 5 * A_DAY]) == 1.0
    assert 0.5 <= np.mean(same[5 * A_DAY :]) < 0.6  # some names are the same in both languages
    labels = Bound.engine.compute_labels(departments.labels, rows)
    assert set(labels[LABEL].to_pylist()) == set(DEPARTMENTS)
    waits = zip(labels["known_at"].to_pylist(), labels["event_time"].to_pylist(), strict=True)
    assert {(known - at).days for known, at in waits} == {3}
