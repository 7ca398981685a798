"""A graph answers as its steps do by hand, from a package too, and one record of the log holds what each step said."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from loopline import graphs, specs
from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.graphs.candidates import best
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.testing.fakes.estimators import Regressor
from loopline.platform_core.training.packaging.package import package

RNG = np.random.default_rng(3)
X = np.column_stack([RNG.normal(size=(400, 2)), RNG.integers(-1, 2, 400)])
TRAIN = specs.Examples(X, (X[:, 0] + X[:, 1] > 0).astype(float), ("spend", "age", "country"), {"country": ("DE", "UK")})
GERMAN, BRITISH, OTHER = (X[:, 2] == code for code in (0, 1, -1))
ITEMS = np.array([[1.0], [5.0], [3.0], [2.0]])


def doubled(given: graphs.Given) -> np.ndarray:
    """Double what the first step said."""
    return 2 * given.said["first"]


def spent(x: np.ndarray) -> np.ndarray:
    """Say what stands in the first column."""
    return x[:, 0]


def summed(x: np.ndarray) -> np.ndarray:
    """Add up all columns."""
    return x.sum(axis=1)


def each_item(x: np.ndarray) -> np.ndarray:
    """Score four items: the first two by the row's spend, the others low."""
    return np.column_stack([x[:, 0], -x[:, 0], np.full(len(x), -9.0), np.full(len(x), -10.0)])


def step(name: str, says=spent, **more) -> graphs.Predict:
    """Return a step that needs no fitting."""
    return graphs.Predict(name, Regressor(says), **more)


class _Three(specs.Regression):
    """The three best of four items: places, then scores."""

    def predictions(self, estimator, x):
        """Ask for all and choose."""
        return best(np.asarray(estimator.predict(x)), 3)


def test_steps_see_columns_and_earlier_steps():
    """A function looks at what is known of rows; an estimator has earlier numbers behind its columns."""
    graph = graphs.Graph.of(
        TRAIN,
        step("first", columns=("age",)),
        graphs.Apply("twice", doubled, after=("first",)),
        step("sum", summed, columns=("spend",), after=("first", "twice")),
        graphs.Mean("mean", ("first", "sum"), weights=(3, 1)),
    )
    said = graph.run(X)
    np.testing.assert_array_equal(said["twice"], 2 * X[:, 1])
    np.testing.assert_allclose(said["sum"], X[:, 0] + 3 * X[:, 1])
    np.testing.assert_allclose(said["mean"], (3 * said["first"] + said["sum"]) / 4)


def test_a_router_asks_each_step_for_its_rows():
    """Rows of a value that nobody takes go to ``otherwise``; without it they are named."""
    routes = {"UK": step("uk", columns=("spend",)), "FR": step("fr", summed)}
    route = graphs.Route("country", by="country", steps=routes, otherwise=step("rest", columns=("age",)))
    said = graphs.Graph.of(TRAIN, route).run(X)["country"]
    np.testing.assert_array_equal(said[BRITISH], X[BRITISH, 0])
    np.testing.assert_array_equal(said[~BRITISH], X[~BRITISH, 1])
    with pytest.raises(ContractBroken, match=rf"{(GERMAN | OTHER).sum()} rows have another country than UK, FR"):
        graphs.Graph.of(TRAIN, replace(route, otherwise=None)).run(X)


def test_candidates_are_retrieved_and_ranked():
    """All pairs are asked at once; the best two of three candidates stay, with their new scores."""
    asked = []

    def by_price(pairs: np.ndarray) -> np.ndarray:
        asked.append(pairs)
        return pairs[:, 1]

    graph = graphs.Graph.of(
        TRAIN,
        step("near", each_item, target=_Three()),
        graphs.Rank("best", step("price", by_price, columns=("age",)), "near", ITEMS, count=2),
    )
    said = graph.run(X[:5])
    order = np.argsort(-each_item(X[:5]), axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(said["near"][:, :3], order)
    (pairs,) = asked
    assert pairs.shape == (15, 3)
    np.testing.assert_array_equal(pairs[:3, 0], [X[0, 1]] * 3)
    np.testing.assert_array_equal(pairs[:, 1], ITEMS[order.ravel(), 0])
    for candidates, (one, two, *prices) in zip(order.tolist(), said["best"].tolist(), strict=True):
        assert [one, two] == sorted(candidates, key=lambda place: -ITEMS[place, 0])[:2]
        assert prices == ITEMS[[int(one), int(two)], 0].tolist()


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((), "it has no step"),
        ((step("a"), step("a")), "two steps are called a"),
        ((graphs.Mean("m", ("a",)), step("a")), "step m rests on a, which is none before it"),
        ((step("a", columns=("price",)),), "step a reads 'price'"),
        ((step("a/b"),), "'a/b' names a file"),
        ((step("near"), graphs.Rank("r", None, "near")), "step r has no scorer"),
    ],
)
def test_what_is_wrong_with_steps_is_said_when_they_are_put_together(steps, told):
    """Before a package is made of them."""
    with pytest.raises(InvalidSpec, match=told):
        graphs.Graph.of(TRAIN, *steps)


def test_a_graph_is_declared_as_it_is():
    """Steps and how many numbers they say are known before anything is trained: the log's columns are."""
    graph = graphs.Graph.of(TRAIN, step("first"), graphs.Apply("twice", doubled))
    target = specs.Graph(of=specs.Regression(), steps={"first": 1})
    np.testing.assert_array_equal(target.predictions(graph, X), np.column_stack([2 * X[:, 0], X[:, 0]]))
    with pytest.raises(InvalidSpec, match=r"steps \{'first': 1\} before the last, declared are \{\}"):
        specs.Graph(of=specs.Regression()).predictions(graph, X)
    assert [told for _, told, _ in specs.Graph(of=specs.Graph(), steps={"a": 0}).problems()] == [
        "a says 0 numbers of a row",
        "a graph answers as a graph",
    ]


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    """Package a graph of a linear model, trees and a router; return its folder, the graph and its target."""
    import lightgbm
    from sklearn.linear_model import LogisticRegression

    binary = specs.Binary(threshold=0.4)
    linear = LogisticRegression().fit(X[:, :2], TRAIN.y)
    trees = lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1).fit(X, TRAIN.y)
    british = graphs.Predict("british", trees, binary)
    graph = graphs.Graph.of(
        TRAIN,
        graphs.Predict("linear", linear, binary, columns=("spend", "age")),
        graphs.Route(
            "routed", "country", {"UK": british}, graphs.Predict("rest", linear, binary, columns=("spend", "age"))
        ),
        graphs.Mean("mean", ("linear", "routed")),
    )
    target = specs.Graph(of=binary, steps={"linear": 1, "routed": 1})
    fields = [FeatureField(name, "request", category=name == "country") for name in TRAIN.features]
    draft = Manifest("retail.cancellations", "pickle", "", fields, [], ["customer_id"], {"country": ["DE", "UK"]}, 0.4,
                     "s", "c-1", Parity(0, 0.0, ""), target=target.to_json())  # fmt: skip
    folder = tmp_path_factory.mktemp("graph")
    assert package(graph, draft, X, folder).kind == "graph"
    return folder, graph, target


def test_each_estimator_has_the_form_that_suits_it(packaged):
    """Trees answer without LightGBM's classifier, the linear model by ONNX; the graph answers as it did."""
    folder, graph, target = packaged
    assert {one.name for one in folder.iterdir()} >= {"british.model.txt", "linear.model.onnx", "rest.model.onnx"}
    loaded = load_model(folder)
    np.testing.assert_allclose(loaded.predict(X), target.predictions(graph, X), atol=1e-5)
    assert [one.name for one in loaded.outputs.each] == ["probability", "label"]


def test_an_endpoint_answers_and_logs_every_step(server, packaged):
    """What a caller gets is the last step's; the record holds it and the others, and says which version did."""
    from loopline.platform_core.contracts.serving import Served

    folder, graph, _ = packaged
    server.route(Served("7", folder, "c-1"))
    asked = {"customer_id": ["a", "b"], "spend": [0.5, -1.0], "age": [0.1, 0.2], "country": ["UK", "?"]}
    reply = server.infer(asked)
    said = graph.run(np.array([[0.5, 0.1, 1], [-1.0, 0.2, -1]]))
    assert reply.json["outputs"][0]["data"] == pytest.approx(said["mean"].tolist(), abs=1e-5)
    ((_, record),) = server.logged
    assert record.version == "7"
    assert record.scores == reply.json["outputs"][0]["data"]
    steps = np.column_stack([said["mean"], said["linear"], said["routed"]])
    np.testing.assert_allclose(record.raw, steps, atol=1e-5)


def test_a_step_that_answers_nothing_of_what_was_learnt_from_is_named(packaged, tmp_path):
    """It has been seen by nobody, so nothing holds it to its estimator."""
    _, graph, target = packaged
    fields = [FeatureField(name, "request") for name in TRAIN.features]
    draft = Manifest("m", "pickle", "", fields, [], [], {}, 0.4, "", "", Parity(0, 0.0, ""), target=target.to_json())
    with pytest.raises(ContractBroken, match="step 'british' answers none of the rows"):
        package(graph, draft, X[~BRITISH], tmp_path)


def test_half_a_package_is_told(packaged, tmp_path):
    """A file that is gone, or holds something else."""
    folder, _, _ = packaged
    for one in folder.iterdir():
        tmp_path.joinpath(one.name).write_bytes(one.read_bytes())
    tmp_path.joinpath("graph.json").write_bytes(msgspec.json.encode({}))
    with pytest.raises(ContractBroken, match="cannot be loaded: KeyError"):
        load_model(tmp_path)
