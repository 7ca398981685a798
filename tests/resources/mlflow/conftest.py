"""Models registered in a real MLflow, as trainings register them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core import targets
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.specs import Binary, Count, Multiclass, Multilabel, Regression, Target
from loopline.platform_core.testing.registry import new_model
from loopline.platform_core.training.encode import matrix, vocabulary, widths
from loopline.platform_core.training.packaging.package import package
from loopline.resources.mlflow.registry import MlflowRegistry

ROWS = 300


@dataclass(frozen=True)
class Registered:
    """A version in a registry: where MLflow keeps it, rows as they come, and what the endpoint says of them."""

    source: str
    description: str
    kind: str
    rows: pa.Table
    scores: Any


class UpsideDown(Binary):
    """A kind of a team's own that takes a probability for that of label 0."""

    kind = "upside_down"

    def served(self, given):
        """Turn it round."""
        return 1 - super().served(given)

    def predictions(self, estimator, x):
        """Turn it round."""
        return 1 - super().predictions(estimator, x)


def rows() -> pa.Table:
    """Make rows of every type that a feature may have, with nulls."""
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "amount": pa.array([None if n % 7 == 0 else float(v) for n, v in enumerate(rng.random(ROWS))]),
            "market": pa.array(rng.choice(["DE", "FR", "GB", None], ROWS)).dictionary_encode(),
            "known": pa.array(rng.random(ROWS) > 0.5),
            "orders": pa.array(rng.integers(0, 9, ROWS)),
            "taste": pa.array([None if n % 9 == 0 else v for n, v in enumerate(rng.random((ROWS, 3)).tolist())]),
        }
    )


def boosted(x: Any, y: Any) -> Any:
    """Fit trees."""
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=9, verbose=-1, n_jobs=1).fit(x, y, categorical_feature=[1])


def linear(x: Any, y: Any) -> Any:
    """Fit what is served as ONNX, or pickled where the converter does not know a part."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(np.nan_to_num(x), y)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> MlflowRegistry:
    """One for all tests."""
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(empty_registry, folder / "mlflow.db")
    return MlflowRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifacts=str(folder / "files"))


def classes(x: Any, y: Any) -> Any:
    """Fit trees of four classes, one of which does not come."""
    import lightgbm

    codes = np.where(y, 3, np.nan_to_num(x[:, 1]).clip(0, 1))
    return lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(x, codes)


def each_class(x: Any, y: Any) -> Any:
    """Fit trees that say of each of three classes whether it holds; one never does."""
    from sklearn.ensemble import ExtraTreesClassifier

    hold = np.column_stack([y, np.nan_to_num(x[:, 0]) > 0.3, np.zeros(len(y))]).astype(float)
    return ExtraTreesClassifier(5, max_depth=4, random_state=0).fit(np.nan_to_num(x), hold)


def squares(x: Any, y: Any) -> Any:
    """Fit a line, which falls below 0."""
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(np.nan_to_num(x), 3 * y - np.nan_to_num(x[:, 0]))


def registered(registry: MlflowRegistry, fit: Any, target: Target, folder: Path) -> Registered:
    """Fit, package and publish as a training does."""
    table = rows()
    features = table.column_names
    words = vocabulary(table, features)
    sizes = widths(table, features)
    x = matrix({name: table.column(name) for name in features}, features, words, sizes)
    estimator = fit(x, np.nan_to_num(x[:, 0]) + (x[:, 1] == 0) > 0.6)
    fields = [FeatureField(name, "request", name in words, sizes.get(name, 0)) for name in features]
    draft = Manifest(
        model="t.m", kind="pickle", file="", features=fields, views=[], entities=[],
        vocabulary={name: list(each) for name, each in words.items()}, threshold=0.5,
        training_set="t", cycle="c", parity=Parity(0, 0.0, ""), target=target.to_json(),
    )  # fmt: skip
    described = package(estimator, draft, np.nan_to_num(x), folder / "package")
    made = registry.publish(Publication(new_model(), folder / "package", estimator, table.slice(0, 5)))
    kept = registry._client.get_model_version(made.model, made.version)
    shown = table.slice(0, 40)
    whole = described.encoder().matrix({name: shown.column(name) for name in features})
    return Registered(
        kept.source, kept.description or "", described.kind, shown, load_model(folder / "package").predict(whole)
    )


@pytest.fixture
def kind_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kind be found as one of a distribution is."""
    monkeypatch.setattr(targets, "_OURS", (*targets._OURS, UpsideDown))


@pytest.fixture(scope="session")
def register(registry: MlflowRegistry) -> Callable[[str, Path], Registered]:
    """Give a function that registers a model of a kind, its package left in a folder."""
    kinds: dict[str, tuple[Any, Target]] = {
        "lightgbm": (boosted, Binary()),
        "onnx": (linear, Binary()),
        "labels": (each_class, Multilabel(("a", "b", "c"))),
        "classes": (classes, Multiclass(("a", "b", "c", "d"))),
        "regression": (squares, Regression()),
        "count": (squares, Count()),
        "upside down": (boosted, UpsideDown()),
    }
    return lambda kind, folder: registered(registry, *kinds[kind], folder)
