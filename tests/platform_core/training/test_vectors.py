"""A view's vectors, from the raw rows to the online store, the training set, the matrix, an answer and drift."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import BadRequest, ContractBroken, Unsupported
from loopline.platform_core.features.materialization.audit import audit
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.features.online import read_online
from loopline.platform_core.features.selection import FeatureNames
from loopline.platform_core.foundation.names import ARRIVED_AT, online_view, raw_table, view_table
from loopline.platform_core.monitor.drift.columns import EmbeddingColumn
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.window import judge_window
from loopline.platform_core.monitor.skew.skew_cause import alike, differs
from loopline.platform_core.runtime.answering.recipe import Recipe
from loopline.platform_core.runtime.model.encode import Encoder, column_names
from loopline.platform_core.runtime.model.models import LoadedModel, load_model
from loopline.platform_core.runtime.wire import protocol
from loopline.platform_core.scoring.batch_features import gathered
from loopline.platform_core.scoring.edge import export
from loopline.platform_core.specs import Drift, Model, Source, Team, feature_view, labels
from loopline.platform_core.testing.engines.engine_tables import put_contract
from loopline.platform_core.training import encode, examples, training_set
from loopline.platform_core.training.order import Fitted, Order
from loopline.platform_core.training.packaging import publish
from loopline.platform_core.training.search.search import SearchResult
from loopline.resources.duckdb.engine import DuckdbEngine
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from tests.platform_core.homes import opened, raw_rows

ROWS, CUSTOMERS = 600, 60
BEGIN = datetime(2011, 3, 1, tzinfo=UTC)
VISITS = Source("visits", contract="visits.yaml")


@feature_view(VISITS, entity="customer_id", time="seen_at")
def taste(visits: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per visit: what the customer likes, as three numbers; and how much was paid."""
    numbers = nw.col("likes").str.split("|").cast(nw.List(nw.Float64()))
    return visits.select("customer_id", "seen_at", "paid", meaning=numbers)


@labels(VISITS, entities=("customer_id",), time="asked_at", label="came_back", known_at="known_at")
def came_back(visits: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per visit: did the customer come back; known at once."""
    return visits.select("customer_id", "asked_at", "came_back", "known_at")


class World:
    """A team whose view returns vectors, on a real lake, engine and online store."""

    def __init__(self, folder: Path, engine: Any) -> None:
        store = SqliteOnlineStore(path=str(folder / "online.db"))
        self.platform = opened(folder, BEGIN + timedelta(days=60), engine=engine, online_store=store)
        kinds = dict.fromkeys(("seen_at", "asked_at", "known_at"), "timestamp")
        put_contract(
            folder / VISITS.contract, customer_id="integer", likes="string", paid="number", came_back="number", **kinds
        )
        self.model = Model("loyal", (taste,), came_back, fit=None, drift=Drift(min_rows=100))  # type: ignore[arg-type]
        self.team = Team("shop", folder, (self.model,))
        self._learn()

    def _learn(self) -> None:
        random = np.random.default_rng(0)
        vectors = random.normal(size=(ROWS, 3)).round(3)
        likes = ["|".join(map(str, row)) for row in vectors.tolist()]
        likes[5] = None
        seen = [BEGIN + timedelta(minutes=10 * n) for n in range(ROWS)]
        asked = [at + timedelta(minutes=1) for at in seen]
        told = {"customer_id": np.arange(ROWS) % CUSTOMERS, "likes": likes, "paid": random.gamma(2, 2, ROWS)}
        told["came_back"] = (random.random(ROWS) < 1 / (1 + np.exp(-3 * vectors[:, 1]))).astype(float)
        raw = raw_rows("seen_at", seen_at=seen, asked_at=asked, known_at=asked, **told)
        self.platform.lake.append(raw_table("shop", "visits"), raw)
        materialize(self.platform, self.team, taste)

    def package(self, folder: Path) -> LoadedModel:
        """Fit on the training set, package as training does, and load as the server does."""
        from lightgbm import LGBMClassifier

        pinned = training_set.build(self.platform, self.team, self.model, BEGIN + timedelta(days=60))
        order = Order(self.platform, self.team, self.model, pinned, "cycle-1", "key-1", {})
        data = examples.learnable(
            training_set.rows(self.platform, self.team, self.model, pinned), order.features, self.model.target
        )
        learnt = data.part(data.parts.train)
        assert learnt.features == ("paid", "meaning.0", "meaning.1", "meaning.2")
        estimator = LGBMClassifier(n_estimators=20, verbose=-1).fit(learnt.x, learnt.y)
        fitted = Fitted(estimator, SearchResult({}, 0.0, ()), self.model.target.predictions(estimator, data.x))
        publish.packaged(order, data, fitted, folder)
        assert publish.published(order, data, fitted, {}, folder).version == "1"
        return load_model(folder)


ENGINES = [PolarsEngine, DuckdbEngine]


@pytest.fixture(scope="module", params=ENGINES)
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """Give a world that has learnt, on each engine that runs in this process; tests read it."""
    found = World(tmp_path_factory.mktemp("world"), request.param())
    yield found
    found.platform.close()


@pytest.fixture(scope="module")
def loaded(world: World) -> LoadedModel:
    """Train once a world."""
    return world.package(world.team.folder / "package")


def asked(**inputs: tuple[list[int], Any]) -> protocol.InferRequest:
    """Write a request as JSON, and read it as the server does."""
    tensors = [
        {"name": name, "shape": shape, "datatype": "INT64" if name == "customer_id" else "FP64", "data": data}
        for name, (shape, data) in inputs.items()
    ]
    return protocol.decode(json.dumps({"inputs": tensors}).encode())


def answered(world: World, loaded: LoadedModel, request: protocol.InferRequest) -> tuple[list[float], list[str]]:
    """Look up what the request does not bring, and predict; return probabilities, and features as they are logged."""
    recipe = Recipe(loaded.manifest)
    request = recipe.checked(request)
    found = recipe.lookups(request, world.platform.online_store.read(recipe.asks(request)))
    gathered = recipe.gather(request, found, int((BEGIN + timedelta(days=30)).timestamp() * 1e6))
    return loaded.predict(recipe.matrix(gathered.rows)).tolist(), gathered.features


def test_vectors_go_from_raw_rows_to_an_answer(world: World, loaded: LoadedModel) -> None:
    """The lake and the store hold them as lists, nothing is new when computed again, and an answer rests on them."""
    held = world.platform.lake.read(view_table("shop", taste))
    assert held.column("meaning").null_count == 1
    assert set(map(len, held.column("meaning").drop_null().to_pylist())) == {3}
    assert materialize(world.platform, world.team, taste).rows == 0
    assert [(field.name, field.width) for field in loaded.manifest.features] == [("paid", 0), ("meaning", 3)]
    ((row,),) = world.platform.online_store.read([(online_view("shop", taste), ["7"])])
    (by_key,), (logged,) = answered(world, loaded, asked(customer_id=([1], [7])))
    assert by_key == loaded.predict(np.array([[row.values[0], *row.values[1]]]))[0]
    assert json.loads(logged) == {"paid": row.values[0], "meaning": row.values[1]}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_arrives_later_and_what_the_audit_finds(tmp_path: Path, engine: type[Any]) -> None:
    """A vector anew is news, the rest is not; the audit finds one that was spoiled online, and mends it."""
    world = World(tmp_path, engine())
    raw = world.platform.lake.read(raw_table("shop", "visits"))
    last = raw.slice(ROWS - 1)
    later = pa.array([BEGIN + timedelta(days=20)], pa.timestamp("us", "UTC"))
    for name, column in (("likes", pa.array(["1|2|3"])), ("seen_at", later), (ARRIVED_AT, later)):
        last = last.set_column(last.column_names.index(name), name, column)
    world.platform.lake.append(raw_table("shop", "visits"), last)
    assert materialize(world.platform, world.team, taste).rows == 1
    key, view = str(last["customer_id"][0].as_py()), online_view("shop", taste)
    ((row,),) = world.platform.online_store.read([(view, [key])])
    assert row.values[1] == [1.0, 2.0, 3.0]
    assert audit(world.platform, world.team, taste).problem == ""
    spoiled = {"customer_id": [key], "event_time": later, "paid": [row.values[0]], "meaning": [[1.0, 2.0, 4.0]]}
    world.platform.online_store.write(view, "customer_id", pa.table(spoiled))
    assert "[1.0, 2.0, 4.0]" in audit(world.platform, world.team, taste, mend=True).example
    assert world.platform.online_store.read([(view, [key])]) == [[row]]
    world.platform.close()


def test_batches_and_applications_get_lists(world: World, loaded: LoadedModel) -> None:
    """A batch joins the vectors of then, too old ones are null; the features API gives them as JSON."""
    when = pa.array([BEGIN + timedelta(days=9), BEGIN - timedelta(days=1)], pa.timestamp("us", "UTC"))
    rows = pa.table({"customer_id": [7, 7], "event_time": when})
    found = gathered(world.platform, world.team, world.model, loaded.manifest, rows).features["meaning"]
    ((row,),) = world.platform.online_store.read([(online_view("shop", taste), ["7"])])
    assert found.to_pylist() == [row.values[1], None]
    asked = FeatureNames(world.platform, world.team).ask(["taste:meaning"])
    at = BEGIN + timedelta(days=9)
    answer = json.loads(read_online(world.platform, asked, {"customer_id": [7, -1]}, at).encode())
    assert answer["features"] == {"taste:meaning": [row.values[1], None]}


def test_a_vector_may_be_sent_as_a_shape(world: World, loaded: LoadedModel) -> None:
    """A tensor [n, 3] by the feature's name goes before what was looked up; another width or form is refused."""
    sent = asked(customer_id=([2], [7, 8]), paid=([2], [1.0, 2.0]), meaning=([2, 3], [0, -2, 0, 0, 2, 0]))
    found, logged = answered(world, loaded, sent)
    assert found[0] < 0.3
    assert found[1] > 0.7
    assert json.loads(logged[1])["meaning"] == [0, 2, 0]
    for shape, data in (([1, 2], [0, 1]), ([1], [0.5])):
        with pytest.raises(BadRequest, match="vector"):
            Recipe(loaded.manifest).checked(asked(customer_id=([1], [7]), meaning=(shape, data)))


@pytest.mark.usefixtures("loaded")
def test_drift_of_vectors_is_measured_and_told(world: World) -> None:
    """The profile knows the column as an embedding, and a window of moved vectors drifts."""
    profile = Profile.load(world.team.folder / "package")
    assert isinstance(profile.columns["meaning"], EmbeddingColumn)
    random = np.random.default_rng(1)
    for moved, drifted in ((0.0, False), (1.0, True)):
        vectors = random.normal(moved, 1, size=(300, 3)).tolist()
        lines = [
            json.dumps({"paid": paid, "meaning": v}) for paid, v in zip(random.gamma(2, 2, 300), vectors, strict=True)
        ]
        window = pa.table(
            {"features": lines, "score": random.permutation(np.resize(profile.sample["score"].drop_null(), 300))}
        )
        verdict = judge_window(profile, window, 100).columns["meaning"]
        assert (verdict.kind, verdict.drifted) == ("embedding", drifted)


@pytest.mark.usefixtures("loaded")
def test_a_device_is_refused_vectors_with_a_reason(world: World, tmp_path: Path) -> None:
    """The script for devices reads single values."""
    with pytest.raises(Unsupported, match="takes vectors"):
        export(world.team.folder / "package", "1", pa.table({"paid": [1.0]}), tmp_path / "device")


def test_rows_and_columns_encode_alike() -> None:
    """Row by row and column by column the matrix is the same; a missing vector is missing in each of its numbers."""
    from lightgbm import Dataset

    encoder = Encoder(("a", "v", "k"), {"k": ["x", "y"]}, {"v": 2})
    rows = [(1.0, [2.0, 3.0], "y"), (None, None, "?")]
    matrix = encoder.rows(rows)
    assert np.array_equal(matrix, [[1, 2, 3, 1], [np.nan, np.nan, np.nan, -1]], equal_nan=True)
    columns = dict(zip(("a", "v", "k"), zip(*rows, strict=True), strict=True))
    assert np.array_equal(encoder.matrix(columns), matrix, equal_nan=True)
    assert encoder.matrix({"a": [], "v": [], "k": []}).shape == (0, 4)
    assert column_names(("a", "v", "k"), {"v": 2}) == ("a", "v.0", "v.1", "k")
    named = Dataset(np.eye(4), np.arange(4), feature_name=[*column_names(("a", "v", "k"), {"v": 2})])
    assert named.construct().num_feature() == 4  # LightGBM refuses names with brackets
    for wrong in ([1.0], [1.0, "x"], "ab", 3.0):
        with pytest.raises(ContractBroken, match="feature 'v'"):
            encoder.rows([(1.0, wrong, "x")])


def test_skew_compares_vectors_number_by_number() -> None:
    """A last bit is no skew; another number, another length or none is."""
    offline = pa.chunked_array([[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], None]])
    assert differs([[1.0, 2.0 + 1e-13], [1.0, 2.1], [1.0], None], offline, 1e-9).tolist() == [False, True, True, False]
    assert alike([[1.0]], [[1.0]], 1e-9)
    assert not alike([[1.0]], [1.0], 1e-9)
    assert alike([[1.0, None]], [[1.0, float("nan")]], 1e-9)
    assert not alike([[1.0, None]], [[1.0, 2.0]], 1e-9)


def test_training_refuses_vectors_that_do_not_fit() -> None:
    """None at all, or of several lengths, is told by name."""
    table = pa.table({"v": pa.array([[1.0], [1.0, 2.0]])})
    with pytest.raises(ContractBroken, match="'v' has vectors of 1 to 2 numbers"):
        encode.widths(table, ["v"])
    with pytest.raises(ContractBroken, match="'v' has no vector"):
        encode.widths(table.slice(0, 0), ["v"])
