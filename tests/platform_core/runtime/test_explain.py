"""A request that asks why: contributions beside the outputs, exact, in each of the protocol's ways."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.errors import BadRequest, Unsupported
from loopline.platform_core.runtime.grpc.service import GrpcService
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.model.explaining import Explainer
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.specs import Binary, Count, Examples, Multiclass, Regression, Search, Target
from loopline.platform_core.specs.automatic import Automatic
from loopline.platform_core.testing.parts.model_packages import ENTITY, write_package
from loopline.platform_core.training.packaging.additivity import additive
from loopline.platform_core.training.packaging.package import package
from loopline.platform_core.training.search.average import Average
from tests.platform_core.runtime.conftest import MODEL, grpc_request

RNG = np.random.default_rng(3)
X = np.column_stack([RNG.normal(size=(300, 2)), RNG.integers(0, 3, 300)])
X[::7, 1] = np.nan
SUM = 2 * X[:, 0] - np.nan_to_num(X[:, 1]) + (X[:, 2] == 1)
LABELS = {
    Binary(): (SUM + RNG.normal(size=300) > 0).astype(float),
    Multiclass(("low", "middle", "high")): np.digitize(SUM, [-1, 1]).astype(float),
    Multiclass(("low", "high")): (SUM > 0).astype(float),
    Regression(): SUM,
    Count(): RNG.poisson(np.exp(SUM / 4)).astype(float),
}
VOCABULARY = {"market": ["DE", "FR", "GB"]}
COLUMNS = ["first", "second", "market"]
ASKED = {"customer_id": ["a", "b"], "first": X[1:3, 0].tolist(), "second": X[1:3, 1].tolist(), "market": ["FR", "?"]}
WHY = {"explain": True}


def draft(target: Target) -> Manifest:
    """Say what the features are."""
    fields = [FeatureField(name, "request", name in VOCABULARY) for name in COLUMNS]
    said = {"target": target.to_json()}
    return Manifest(MODEL, "pickle", "", fields, [], [ENTITY], VOCABULARY, 0.5, "s", "c-1", Parity(0, 0.0, ""), **said)


def fitted(family: str, target: Target) -> Any:
    """Fit by a family as a search does; of trees a few are enough."""
    if family == "trees":
        import lightgbm

        named = {"regression": "regression", "count": "poisson"}
        objective = named.get(target.kind, "binary" if target.width < 3 else "multiclass")
        few = {"objective": objective, "num_class": target.width if target.width > 2 else 1, "verbose": -1}
        rows = lightgbm.Dataset(X, LABELS[target], categorical_feature=[2])
        return lightgbm.train(few | {"num_threads": 1}, rows, 6)
    rows = Examples(X, LABELS[target], tuple(COLUMNS), {"market": tuple(VOCABULARY["market"])})
    search = Search(1, estimators=(family,))
    return Automatic(search, target)(rows, rows, search.begins()[0], lambda _step, _score: None)


def packaged(estimator: Any, target: Target, folder: Path) -> Path:
    """Package as training does."""
    made = package(estimator, draft(target), X, folder)
    if made.kind != "lightgbm" and (found := additive(estimator, X, [0, 0, 3])):
        found.save(folder)
    return folder


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package trees that tell two labels apart."""
    return packaged(fitted("trees", Binary()), Binary(), tmp_path_factory.mktemp("trees"))


def linked(target: Target, totals: Any) -> Any:
    """Return what a model makes of its sums, (rows, numbers)."""
    if target.kind in {"regression", "count"}:
        return totals[:, 0] if target.kind == "regression" else np.exp(totals[:, 0])
    if totals.shape[1] == 1:
        chance = 1 / (1 + np.exp(-totals[:, 0]))
        return chance if target.width == 1 else np.column_stack([1 - chance, chance])
    parts = np.exp(totals - totals.max(axis=1)[:, None])
    return parts / parts.sum(axis=1)[:, None]


@pytest.mark.parametrize("family", ["trees", "linear"])
@pytest.mark.parametrize("target", LABELS, ids=lambda target: f"{target.kind}{target.width}")
def test_contributions_add_up(target: Target, family: str, tmp_path: Path) -> None:
    """To what the model says before its link, whatever the row holds; of several classes for the one answered."""
    loaded = load_model(packaged(fitted(family, target), target, tmp_path / "package"))
    assert loaded.explainer is not None
    rows = np.array([[0.3, np.nan, -1.0], [0.1, 0.2, 2.0], *X[:20]])
    raw = loaded.predict(rows)
    found = loaded.explainer.explain(rows, raw)
    assert found.contributions.shape == (22, 3)
    each = loaded.explainer._parts(rows)
    assert linked(target, each.sum(axis=2)) == pytest.approx(raw, rel=1e-4, abs=1e-5)
    if target.width == 1 or each.shape[1] > 1:
        wanted = each[np.arange(22), target.explained(raw)]
    else:  # of two classes the second's are there: what speaks for it speaks against the first
        wanted = each[:, 0] * np.where(raw[:, 1] > raw[:, 0], 1, -1)[:, None]
    assert np.array_equal(np.column_stack(found), wanted)


def test_a_request_is_told_why(server: Any, trees: Path) -> None:
    """A tensor of a number a column and one of the base, beside what everybody gets; the metadata names the columns."""
    server.route(Served("1", trees, "c-1"))
    plain, why = server.infer(ASKED).json["outputs"], server.infer(ASKED, parameters=WHY).json["outputs"]
    assert why[:2] == plain
    assert [(o["name"], o["shape"], o["datatype"]) for o in why[2:]] == [
        ("contributions", [2, 3], "FP64"),
        ("base", [2], "FP64"),
    ]
    total = np.reshape(why[2]["data"], (2, 3)).sum(axis=1) + why[3]["data"]
    assert 1 / (1 + np.exp(-total)) == pytest.approx(plain[0]["data"])
    assert server.ask("GET", f"/v2/models/{MODEL}").json["parameters"]["contributions"] == COLUMNS
    only = server.infer(ASKED, parameters=WHY, outputs=[{"name": "contributions"}]).json["outputs"]
    assert only == [why[2]]
    assert [record.scores for _, record in server.logged] == [plain[0]["data"]] * 3
    assert server.infer(ASKED, parameters={"explain": False}).json["outputs"] == plain


def test_in_bytes_and_over_grpc_it_is_the_same(server: Any, trees: Path) -> None:
    """Triton's own client reads it, and so does one of gRPC."""
    server.route(Served("1", trees, "c-1"))
    said = server.infer(ASKED, parameters=WHY).json["outputs"][2]["data"]
    reply = server.infer(ASKED, parameters=WHY | {"binary_data_output": True})
    length = int(reply.headers["inference-header-content-length"])
    result = triton.InferResult.from_response_body(reply.body, False, length)
    assert result.as_numpy("contributions").ravel().tolist() == said
    asked = grpc_request(ASKED)
    asked.parameters["explain"].bool_param = True
    service = GrpcService(server.inference, Metrics(), lambda: True)
    answered = asyncio.run(service.model_infer(asked))
    assert list(answered.outputs[2].contents.fp64_contents) == said
    asked.parameters["explain"].string_param = "yes"
    with pytest.raises(BadRequest, match="no truth value"):
        asyncio.run(service.model_infer(asked))


@pytest.mark.parametrize("value", [1, "true", None, [True], {}])
def test_what_is_no_truth_value_is_refused(server: Any, trees: Path, value: Any) -> None:
    """In the protocol's shape, whatever came."""
    server.route(Served("1", trees, "c-1"))
    reply = server.infer(ASKED, parameters={"explain": value})
    assert reply.status == 400
    assert "explain" in reply.error
    assert not server.logged


def test_what_cannot_be_explained_is_refused_before_it_is_predicted(server: Any, tmp_path: Path, trees: Path) -> None:
    """A form that is neither trees nor a sum says so, too many rows say how many, an unknown output is named."""
    own = write_package(tmp_path / "own", fitted("neighbours", Binary()), requested=["a", "b", "c"])
    server.route(Served("1", own, "c-1"))
    columns = {"customer_id": ["a"], "a": [0.0], "b": [0.0], "c": [0.0]}
    assert "neither trees" in server.infer(columns, parameters=WHY).error
    assert "contributions" not in server.ask("GET", f"/v2/models/{MODEL}").json["parameters"]
    with pytest.raises(Unsupported, match="neither trees"):
        Explainer(own, load_model(own).manifest, Binary()).explain(X[:1], X[:1, 0])
    server.route(Served("2", trees, "c-1"))
    many = {name: [values[0]] * 257 for name, values in ASKED.items()}
    assert "exceed 256" in server.infer(many, parameters=WHY).error
    assert "no output" in server.infer(ASKED, parameters=WHY, outputs=[{"name": "why"}]).error
    assert not server.logged


def test_an_average_answers_in_its_members_own_forms(tmp_path: Path) -> None:
    """The mean of what each says by its own weight, without the library that one was fitted with; it has no reasons."""
    target = Count()
    members = (fitted("trees", target), fitted("linear", target))
    average = Average(target, members, (0.75, 0.25))
    made = package(average, draft(target), X, tmp_path / "package")
    forms = json.loads((tmp_path / "package" / "model.json").read_bytes())
    assert (made.kind, forms[0]["kind"], sum(form["weight"] for form in forms)) == ("average", "lightgbm", 1)
    loaded = load_model(tmp_path / "package")
    assert loaded.predict(X) == pytest.approx(average.predict(X), rel=1e-4)
    assert loaded.explainer is not None
    assert "average" in loaded.explainer.trouble
