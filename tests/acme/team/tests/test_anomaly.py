"""The team's own tests of its kind: it keeps what every kind promises, and finds tumours among healthy tissue.

The rows are real: 357 benign samples and 30 malignant ones of the Wisconsin breast cancer data (Wolberg, Street and
Mangasarian, 1995; CC BY 4.0), which scikit-learn brings along.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from acme.anomaly import Anomaly
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.naive_bayes import GaussianNB

from loopline.platform_core import targets
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.specs.yaml_files.model_file import ModelFile
from loopline.platform_core.testing.target import Sample, TargetKit
from loopline.platform_core.training.packaging.package import package
from loopline.specs import AtLeast

MALIGNANT = 30
SHARE = 0.05


@pytest.fixture(scope="module")
def sample() -> Sample:
    """Give the tissue, a forest of it, one of noise, and a classifier."""
    x, benign = load_breast_cancer(return_X_y=True)
    kept = np.concatenate([np.flatnonzero(benign), np.flatnonzero(benign == 0)[:MALIGNANT]])
    kept = np.random.default_rng(0).permutation(kept)
    x, odd = x[kept], 1.0 - benign[kept]
    settings = {"n_estimators": 40, "contamination": SHARE, "random_state": 0}
    good, bad = (IsolationForest(**settings).fit(of) for of in (x, np.random.default_rng(1).normal(size=x.shape)))
    labels, others = pa.chunked_array([odd]), (pa.chunked_array([[2.0, 0.5]]), pa.chunked_array([[0.0] * 9]))
    return Sample(x, labels, odd, good, bad, GaussianNB().fit(x, odd), *others)


class TestAnomaly(TargetKit):
    """The kit."""

    @pytest.fixture
    def target(self) -> Anomaly:
        """Give one with settings."""
        return Anomaly(share=SHARE, limit=0.01)


def test_it_is_found_by_its_entry_point():
    """So packages, YAML and gates know it."""
    assert targets.kind("anomaly") is Anomaly
    assert targets.from_json(json.loads(json.dumps(Anomaly(0.1).to_json()))) == Anomaly(0.1)
    gate = {"type": "at_least", "metric": "precision_at_share", "bound": 0.5}
    said = {"name": "odd", "features": ["a:b"], "labels": "a:c", "fit": "a:d", "gates": [gate]}
    read = ModelFile.model_validate(said | {"target": {"type": "anomaly", "share": 0.1}})
    assert read.target == Anomaly(0.1)
    assert list(read.gates) == [AtLeast("precision_at_share", 0.5)]


def test_the_oddest_are_mostly_tumours(sample):
    """Of 20 that a person looks at; by chance it would be one or two."""
    found = Anomaly(SHARE).values(Anomaly(SHARE).rows(sample.right, Anomaly().predictions(sample.good, sample.x)))
    assert found["precision_at_share"] >= 0.6


def test_its_estimators_are_served(sample, tmp_path):
    """Pickled, with the score as the kind has it."""
    fields = [FeatureField(f"f{n}", "request") for n in range(sample.x.shape[1])]
    said = Anomaly(SHARE).to_json()
    draft = Manifest("acme.odd", "pickle", "", fields, [], ["a"], {}, 0.5, "t", "c", Parity(0, 0.0, ""), target=said)
    manifest = package(sample.good, draft, sample.x, tmp_path)
    assert manifest.kind == "pickle", "no converter knows this forest, and says so"
    loaded = load_model(tmp_path)
    assert loaded.target == Anomaly(SHARE)
    assert loaded.predict(sample.x) == pytest.approx(Anomaly().predictions(sample.good, sample.x), abs=1e-5)
