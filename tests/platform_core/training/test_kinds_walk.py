"""Models of every kind from raw rows to a package that predicts: pinned set, fit, gate, registry, loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pytest

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import LABEL
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.specs import (
    AtLeast,
    AtMost,
    BeatsBaseline,
    BeatsChampion,
    Count,
    Evidence,
    Gate,
    Model,
    Multiclass,
    Ranking,
    Regression,
    Search,
    Target,
    choice,
)
from loopline.platform_core.testing.engines.engine_tables import large_order, spending
from loopline.platform_core.training import training_set
from tests.platform_core.training.conftest import Shop

ROWS, CLASSES = 400, ("bag", "lamp", "toy")
order = replace(
    spending, name="order", served="request", ttl_days=None,
    compute=lambda orders: orders.select("customer", "ordered_at", size="amount"),
)  # fmt: skip


def labelled(label: Callable[[], nw.Expr]) -> Any:
    """Declare labels of an expression, known two hours later."""

    def compute(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        return orders.with_columns(large=label(), later=nw.col("ordered_at").dt.offset_by("2h"))

    return replace(large_order, compute=compute)


def trees(kind: str, **more: Any) -> Any:
    """Return a fit of LightGBM's."""

    def fit(train: Any, valid: Any, params: Any, report: Any) -> Any:
        import lightgbm

        boosted = getattr(lightgbm, kind)(n_estimators=12, n_jobs=1, verbose=-1, **more, **params)
        return boosted.fit(train.x, train.y, categorical_feature=train.categorical)

    return fit


def line(train: Any, valid: Any, params: Any, report: Any) -> Any:
    """Fit a pipeline of which no converter knows the first step."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    assert set(train.y) <= {0.0, 1.0, 2.0}
    steps = Size(train.features.index("size")), StandardScaler(), LogisticRegression()
    return make_pipeline(*steps).fit(train.x, train.y)


def ranked(train: Any, valid: Any, params: Any, report: Any) -> Any:
    """Fit a line for each item; labels are the places of those that were taken."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    taken = (train.y[:, :, None] == np.arange(len(CLASSES))).any(axis=1).astype(float)
    return make_pipeline(Size(train.features.index("size")), Ridge(alpha=params["alpha"])).fit(train.x, taken)


class Size:
    """Not a converter's business: one column of the matrix."""

    def __init__(self, at: int) -> None:
        self.at = at

    def fit(self, x: Any, y: Any = None) -> Size:
        """Learn nothing."""
        return self

    def transform(self, x: Any) -> Any:
        """Take the column."""
        return np.nan_to_num(x[:, [self.at]])


@dataclass(frozen=True)
class Walk:
    """A kind with labels of the orders, a fit, a gate that it passes, and how it is served."""

    target: Target
    label: Callable[[], nw.Expr]
    fit: Any
    gate: Gate
    form: str
    described: frozenset[str]
    space: Any = field(default_factory=lambda: SPACE)


SPACE = {"learning_rate": choice(0.05, 0.2)}
NUMBERS = frozenset({"mean", "largest"})
WALKS = [
    Walk(
        Regression("GBP", largest_error=50.0), lambda: 3 * nw.col("amount") - 20, trees("LGBMRegressor"),
        AtLeast("r2", 0.5), "lightgbm", NUMBERS | {"least"},
    ),
    Walk(
        Count("pieces"), lambda: nw.col("amount").round(), trees("LGBMRegressor", objective="poisson"),
        AtMost("poisson_deviance", 1.5), "lightgbm", NUMBERS | {"none"},
    ),
    Walk(
        Multiclass(CLASSES), lambda: nw.col("article"), trees("LGBMClassifier"),
        AtLeast("macro_f1", 0.5), "lightgbm", frozenset({"classes", *(f"class {name}" for name in CLASSES)}),
    ),
    Walk(
        Ranking(CLASSES, k=1, most=2), lambda: nw.col("article").str.split(","), ranked,
        AtLeast("recall_at_k", 0.5), "pickle", frozenset({"items", "items a list"}), {"alpha": choice(0.1, 1.0)},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Land the orders: dear ones are toys, cheap ones bags."""
    random = np.random.default_rng(0)
    amounts = random.gamma(4, 2, ROWS)
    articles = np.array(CLASSES)[np.digitize(amounts + random.normal(0, 1, ROWS), [5, 9])]
    rows = [(n % 7, n, n + 1, float(amounts[n]), str(articles[n])) for n in range(ROWS)]
    any_model = Model("any", (spending, order), large_order, trees("LGBMRegressor"))
    return Shop.of(tmp_path_factory.mktemp("walk"), (any_model,), rows)


def declared(walk: Walk, **more: Any) -> Model:
    """Declare the model."""
    given = {"search": Search(2, walk.space), "gates": (walk.gate, BeatsChampion(walk.target.searched, 0.01)), **more}
    return Model(walk.target.kind, (spending, order), labelled(walk.label), walk.fit, target=walk.target, **given)


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.target.kind)
def test_the_whole_way(shop: Shop, walk: Walk, tmp_path: Path) -> None:
    """What was measured is what the loaded package predicts; the next version is held against it."""
    model, target, platform = declared(walk), walk.target, shop.platform
    pinned = shop.pinned(model)
    assert set(pinned.described) == walk.described
    done = shop.trained(model, "first")
    assert gates.judge(model, Evidence(done["metrics"], done["champion_metrics"], {})).passed
    assert (done["package_kind"], done["champion_metrics"]) == (walk.form, None)
    assert set(done["segments"]["article"]["toy"]["metrics"]) <= set(target.metrics)

    name = f"shop.{model.name}"
    package = platform.registry.fetch(name, done["version"], tmp_path)
    loaded = load_model(package)
    assert loaded.target == target
    rows = training_set.rows(platform, shop.team, model, pinned)
    raw = loaded.predict(loaded.manifest.encoder().matrix({f.name: rows[f.name] for f in loaded.manifest.features}))
    newest = slice(int(ROWS * 0.8) - 2, None)
    found = target.values(target.rows(target.encoded(rows[LABEL])[newest], raw[newest]))
    assert found[target.searched] == pytest.approx(done["metrics"][target.searched], rel=0.1)
    assert list(target.answer(raw[:2].tolist())) == [output.name for output in target.outputs]
    assert "score" in Profile.load(package).columns

    platform.registry.set_alias(name, "champion", done["version"])
    second = shop.trained(model, "second")
    assert second["champion_metrics"] == pytest.approx(done["metrics"])


@pytest.mark.parametrize("walk", WALKS[:3], ids=lambda walk: walk.target.kind)
def test_families_of_estimators_are_searched(shop: Shop, walk: Walk, tmp_path: Path) -> None:
    """Each is tried with what is usual, the best few are averaged where that helps, and a baseline stands beside."""
    names = ("trees", "linear", "neighbours", "network") if walk.target.kind == "multiclass" else ("trees", "linear")
    space = {"trees.num_leaves": choice(4, 6), "trees.learning_rate": choice(0.3)}
    search = Search(len(names) + 1, space, estimators=names, ensemble=3)
    gate = BeatsBaseline(walk.target.searched, 0.01)
    model = Model(
        f"{walk.target.kind}_families", (spending, order), labelled(walk.label), search=search, gates=(gate,),
        target=walk.target,
    )  # fmt: skip
    done = shop.trained(model, model.name)
    board = done["leaderboard"]
    assert {row["family"] for row in board} == set(names)
    assert len(board) == len(names) + 1
    assert sum(row["weight"] for row in board) == pytest.approx(1, abs=1e-3)
    assert all(row["seconds"] > 0 for row in board)
    assert all(row["params"]["num_leaves"] in {4, 6} for row in board if row["family"] == "trees")
    verdict = gates.judge(model, Evidence(done["metrics"], None, {}, done["baseline_metrics"]))
    assert verdict.passed, verdict
    name = f"shop.{model.name}"
    version = shop.platform.registry.get(name, done["version"])
    searched = walk.target.searched
    assert version.metrics[f"baseline_{searched}"] == done["baseline_metrics"][searched]
    loaded = load_model(shop.platform.registry.fetch(name, done["version"], tmp_path))
    assert loaded.manifest.kind == done["package_kind"]
    if done["importance"]:
        assert next(iter(done["importance"])) == "size"
        assert sum(done["importance"].values()) == pytest.approx(1, abs=1e-4)
    else:
        assert done["package_kind"] in {"average", "pickle"}


def test_a_pipeline_tells_classes_apart_in_what_form_it_can(shop: Shop) -> None:
    """A step of the team's own keeps it pickled; the search goes by another metric of the kind."""
    model = replace(declared(WALKS[2]), name="piped", fit=line, search=Search(1, metric="macro_f1"))
    done = shop.trained(model, "piped")
    assert done["package_kind"] == "pickle"
    assert done["metrics"]["accuracy"] > 0.6


def test_a_champion_of_another_kind_is_not_measured(shop: Shop) -> None:
    """Nor one that does not know a class: a gate that asks for the comparison says that it was not measured."""
    walk = replace(WALKS[2], target=Multiclass((*CLASSES, "vase")))
    for number, before in enumerate((replace(WALKS[0], gate=AtMost("mae", 99)), WALKS[2])):
        name = f"turned{number}"
        first = shop.trained(replace(declared(before), name=name), f"{name}-1")
        shop.platform.registry.set_alias(f"shop.{name}", "champion", first["version"])
        done = shop.trained(replace(declared(walk), name=name), f"{name}-2")
        known = number == 1  # of the wider classes none has come yet, so the champion knows all labels
        assert bool(done["champion_metrics"]) == known
        verdict = gates.judge(declared(walk), Evidence(done["metrics"], done["champion_metrics"], {}))
        assert [reading.detail for reading in verdict.failed] == (
            [] if known else ["'log_loss' was not measured of both"]
        )


@pytest.mark.parametrize(
    ("target", "label", "said"),
    [
        (Multiclass(("bag", "lamp")), lambda: nw.col("article"), "label toy in"),
        (Multiclass(CLASSES), lambda: nw.col("amount"), "name it in classes"),
        (Count(), lambda: nw.col("amount") - 9, "from 0 on"),
    ],
)
def test_labels_of_no_such_kind_are_refused_before_anything_is_learnt(
    shop: Shop, target: Target, label: Any, said: str
) -> None:
    """By name, with what to do."""
    model = Model("odd", (spending, order), labelled(label), WALKS[0].fit, target=target)
    with pytest.raises(ContractBroken, match=said):
        shop.trained(model, "odd")
