"""Texts, lists and vectors as they are, from raw rows to an answer: ``Model(inputs="columns")`` and tensors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.errors import BadRequest, ContractBroken, InvalidSpec, Unsupported
from loopline.platform_core.features.compute import changes
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.window import judge_window
from loopline.platform_core.monitor.skew.skew_cause import alike
from loopline.platform_core.runtime.answering import metadata
from loopline.platform_core.runtime.answering.recipe import Recipe
from loopline.platform_core.runtime.model.given import Columns, Tensors, together
from loopline.platform_core.runtime.model.models import LoadedModel, load_model
from loopline.platform_core.runtime.replay import ShadowModel
from loopline.platform_core.runtime.wire import protocol
from loopline.platform_core.scoring import batch
from loopline.platform_core.scoring.edge import export
from loopline.platform_core.scoring.stream_records import as_request, parsed
from loopline.platform_core.specs import Model, Multiclass, Tensor, brightness, sharpness
from loopline.platform_core.specs.yaml_files.model_file import ModelFile
from loopline.platform_core.testing.engines.engine_tables import at, large_order, spending
from tests.platform_core.training.conftest import Shop

ROWS, CLASSES = 400, ("bag", "lamp", "toy")
WORDS = {"bag": ["red", "leather"], "lamp": ["bright", "glass"], "toy": ["small", "wood", "painted"]}


class ByWords:
    """Counts in how many texts of each class a word was; looks at all columns of a table."""

    def fit(self, table: pa.Table, y: Any) -> ByWords:
        """Learn which class each word speaks for."""
        self.seen: dict[str, list[float]] = {}
        for text, label in zip(table["said"].to_pylist(), y, strict=True):
            for word in (text or "").split():
                self.seen.setdefault(word, [1.0] * len(CLASSES))[int(label)] += 1
        self.types = {field.name: str(field.type) for field in table.schema}
        return self

    def predict_proba(self, table: pa.Table) -> Any:
        """Return (rows, classes)."""
        assert {field.name: str(field.type) for field in table.schema} == self.types
        found = np.zeros((len(table), len(CLASSES)))
        for row, text in enumerate(table["said"].to_pylist()):
            for word in (text or "").split():
                found[row] += np.log(self.seen.get(word, [1.0] * len(CLASSES)))
        found = np.exp(found - found.max(axis=1, keepdims=True))
        return found / found.sum(axis=1, keepdims=True)


class Nearest:
    """The mean picture of each class; a row's tensor is (2, 2)."""

    def fit(self, x: Any, y: Any) -> Nearest:
        """Take means."""
        self.means = np.array([np.nanmean(x[y == label], axis=0) for label in range(len(CLASSES))])
        return self

    def predict_proba(self, x: Any) -> Any:
        """Return (rows, classes)."""
        assert (x.dtype, x.shape[1:]) == (np.float32, (2, 2))
        near = np.exp(-((np.nan_to_num(x)[:, None] - self.means) ** 2).sum(axis=(2, 3)).astype(np.float64))
        return near / near.sum(axis=1, keepdims=True)


def by_words(train: Any, valid: Any, params: Any, report: Any) -> Any:
    """Fit on the table."""
    assert train.x.shape == (len(train.y), 0)
    assert train.features == ("size", "said", "tags", "steps", "place")
    return ByWords().fit(train.table, train.y)


def nearest(train: Any, valid: Any, params: Any, report: Any) -> Any:
    """Fit on the tensor."""
    assert train.table is None
    assert train.given is train.x
    return Nearest().fit(train.x, train.y)


def shown(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: a size, a text, a list of texts, one of numbers, and a vector."""
    said = nw.col("article").str.split(":").list.get(1)
    steps = nw.when(nw.col("amount") > 1).then(nw.lit("1,2,3")).otherwise(nw.lit("4"))
    return orders.select(
        "customer",
        "ordered_at",
        size="amount",
        said=said,
        tags=said.str.split(" "),
        steps=steps.str.split(",").cast(nw.List(nw.Float64())),
        place=nw.concat_str(nw.col("amount").cast(nw.String), nw.lit("2"), separator=",")
        .str.split(",")
        .cast(nw.List(nw.Float64())),
    )


def picture(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: four numbers."""
    amount = nw.col("amount").cast(nw.String)
    numbers = nw.concat_str(amount, amount, amount, nw.lit("0"), separator=",")
    return orders.select("customer", "ordered_at", picture=numbers.str.split(",").cast(nw.List(nw.Float64())))


def kinds(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Label each order with what it is, two hours later."""
    kind = nw.col("article").str.split(":").list.get(0)
    return orders.with_columns(large=kind, later=nw.col("ordered_at").dt.offset_by("2h"))


def tilt(pictures: Any) -> Any:
    """Read off how much lighter the upper half is."""
    return pictures[:, 0].mean(axis=1) - pictures[:, 1].mean(axis=1)


words = replace(spending, name="words", served="request", ttl_days=None, compute=shown)
pictures = replace(spending, name="pictures", served="online", ttl_days=None, compute=picture)
labelled = replace(large_order, compute=kinds, segments=())
TEXTS = Model("texts", (words,), labelled, by_words, target=Multiclass(CLASSES), inputs="columns")
PICTURES = Model(
    "pictures",
    (pictures,),
    labelled,
    nearest,
    target=Multiclass(CLASSES),
    inputs=Tensor((2, 2)),
    watched=(brightness, tilt),
)


def packaged(shop: Shop, model: Model, folder: Path) -> tuple[LoadedModel, Path]:
    """Train, and load as the server does."""
    done = shop.trained(model, model.name)
    assert done["package_kind"] == "pickle"
    assert done["metrics"]["accuracy"] > 0.9
    package = shop.platform.registry.fetch(f"shop.{model.name}", done["version"], folder)
    return load_model(package), package


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Land orders whose articles have a kind, and words that tell it."""
    random = np.random.default_rng(0)
    rows = []
    for n in range(ROWS):
        kind = CLASSES[n % 3]
        said = " ".join([*random.permutation(WORDS[kind]), f"no{n}"])
        rows.append((n % 7, n, n + 1, float(n % 3), f"{kind}:{said}"))
    return Shop.of(tmp_path_factory.mktemp("columns"), (TEXTS, PICTURES), rows)


@pytest.fixture(scope="module")
def texts(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedModel, Path]:
    """Train on columns once."""
    return packaged(shop, TEXTS, tmp_path_factory.mktemp("texts"))


ROW = {"size": 1.0, "said": "bright glass", "tags": ["bright", "glass"], "steps": [1.0, 2.0], "place": [1.0, 2.0]}


def asked(**inputs: tuple[str, list[int], Any]) -> protocol.InferRequest:
    """Write a request as JSON, and read it as the server does."""
    tensors = [{"name": n, "datatype": d, "shape": s, "data": data} for n, (d, s, data) in inputs.items()]
    return protocol.decode(json.dumps({"inputs": tensors}).encode())


def usual(rows: int = 1, **other: tuple[str, list[int], Any]) -> protocol.InferRequest:
    """Ask for some equal rows."""
    tensors = {
        "customer": ("INT64", [rows], [7] * rows),
        "size": ("FP64", [rows], [1.0] * rows),
        "said": ("BYTES", [rows], ["bright glass"] * rows),
        "tags": ("BYTES", [rows, 2], ["bright", "glass"] * rows),
        "steps": ("FP64", [rows, 2], [1.0, 2.0] * rows),
        "place": ("FP64", [rows, 2], [1.0, 2.0] * rows),
    }
    return asked(**{**tensors, **other})


def test_columns_go_from_raw_rows_to_an_answer(shop: Shop, texts: tuple[LoadedModel, Path]) -> None:
    """The manifest says what each column holds; a request's rows, a batch's and a stream's make the same table."""
    loaded, package = texts
    manifest = loaded.manifest
    held = {f.name: (f.holds, f.width) for f in manifest.features}
    assert held == {
        "size": ("number", 0), "said": ("text", 0), "tags": ("texts", 0), "steps": ("numbers", 0),
        "place": ("numbers", 2),
    }  # fmt: skip
    recipe = Recipe(manifest)
    gathered = recipe.gather(recipe.checked(usual(2)), [], 0)
    assert [json.loads(one) for one in gathered.features] == [ROW, ROW]
    table = recipe.matrix(gathered.rows)
    assert table.schema == manifest.encoder().blank(1).schema
    raw = loaded.predict(table)
    assert loaded.target.decided(raw).tolist() == [1.0, 1.0]
    assert batch.scores(package, pa.Table.from_pylist([ROW])) == pytest.approx(raw[0].tolist())
    streamed = as_request(parsed(json.dumps({"entities": {"customer": 7}, "features": ROW}).encode()), "r", recipe)
    again = recipe.gather(recipe.checked(streamed), [], 0)
    assert recipe.matrix(again.rows).to_pylist() == [ROW]
    assert together([table, table[:1]]).to_pylist() == [ROW] * 3


def test_a_shadow_is_given_what_was_logged(texts: tuple[LoadedModel, Path]) -> None:
    """The same table, and so the same answer."""
    loaded, package = texts
    shadow = ShadowModel(Served("1", package, "cycle"))
    given = shadow.encode([SimpleNamespace(features=[json.dumps(ROW)], version="1")] * 2)  # type: ignore[list-item]
    assert given.to_pylist() == [ROW, ROW]
    assert shadow.predict(given[1:]).raw == loaded.predict(given)[1:].tolist()


def test_lists_of_texts_are_compared_one_by_one() -> None:
    """By skew between log and offline, and by what is new in a view's table."""
    assert alike([["a", "b"]], [["a", "b"]], 1e-6)
    for other in (["a", "c"], ["a"], None, [1.0, 2.0]):
        assert not alike([["a", "b"]], [other], 1e-6)
    one = pa.table({"k": [1, 2, 3], "event_time": [0, 0, 0], "tags": [["a"], ["b", "c"], None]})
    two = one.set_column(2, "tags", pa.array([["a"], ["b", "d"], ["e"]]))
    found = changes.differ(one["tags"], two["tags"])
    assert found.tolist() == [False, True, True]


def test_lists_come_in_any_length_and_what_is_missing_is_null(texts: tuple[LoadedModel, Path]) -> None:
    """Nulls at a row's end are none of it; all of them, or one before, is no list at all."""
    loaded, _ = texts
    recipe = Recipe(loaded.manifest)
    rows = 3
    request = usual(
        rows,
        said=("BYTES", [rows], ["bright", None, "glass"]),
        steps=("FP64", [rows, 3], [1, 2, 3, 4, None, None, None, None, 5]),
        tags=("BYTES", [rows, 1], ["a", None, "b"]),
    )
    table = recipe.matrix(recipe.gather(recipe.checked(request), [], 0).rows)
    assert table["steps"].to_pylist() == [[1, 2, 3], [4], None]
    assert table["tags"].to_pylist() == [["a"], None, ["b"]]
    assert table["said"].to_pylist() == ["bright", None, "glass"]
    assert np.isfinite(loaded.predict(table)).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"said": ("FP64", [1], [1.0])},
        {"tags": ("FP64", [1, 2], [1.0, 2.0])},
        {"steps": ("BYTES", [1, 2], ["a", "b"])},
        {"place": ("FP64", [1, 3], [1.0, 2.0, 3.0])},
        {"other": ("FP64", [1, 2], [1.0, 2.0])},
    ],
)
def test_what_a_column_does_not_hold_is_refused(texts: tuple[LoadedModel, Path], wrong: Any) -> None:
    """By name, with what to send."""
    with pytest.raises(BadRequest, match=r"other|said|tags|steps|place"):
        Recipe(texts[0].manifest).checked(usual(**wrong))


def test_metadata_and_devices_know_of_columns(texts: tuple[LoadedModel, Path], tmp_path: Path) -> None:
    """A list of any length has shape [-1, -1]; a device's script makes matrices only."""
    loaded, package = texts
    recipe = Recipe(loaded.manifest)
    widths = {name: metadata._width(recipe, name) for name in recipe.requested}
    assert widths == {"size": 0, "said": 0, "tags": -1, "steps": -1, "place": 2}
    assert "tags (BYTES of shape [n, k])" in recipe.expected()
    with pytest.raises(Unsupported, match="takes columns"):
        export(package, "1", pa.table({"size": [1.0]}), tmp_path / "device")


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [("said", "odd words here", "text"), ("tags", ["odd", "words"], "text"), ("steps", [9.0] * 5, "list"),
     ("place", [9.0, 9.0], "embedding")],
)  # fmt: skip
def test_drift_is_seen_in_each_column(texts: tuple[LoadedModel, Path], name: str, value: Any, kind: str) -> None:
    """As logged rows are; those of training have not drifted."""
    profile = Profile.load(texts[1])
    rows = profile.sample.select([n for n in profile.sample.column_names if n != "score"]).to_pylist() * 2
    scores = pa.array([0.9] * len(rows))
    calm = judge_window(profile, pa.table({"features": [*map(json.dumps, rows)], "score": scores}), 100)
    moved = [json.dumps({**row, name: value}) for row in rows]
    told = judge_window(profile, pa.table({"features": moved, "score": scores}), 100).columns[name]
    assert (calm.columns[name].drifted, told.drifted, told.kind) == (False, True, kind)


def test_a_tensor_goes_from_the_online_store_to_an_answer(shop: Shop, tmp_path: Path) -> None:
    """In its shape, as float32; a missing one is NaN."""
    loaded, package = packaged(shop, PICTURES, tmp_path)
    assert (loaded.manifest.inputs, loaded.manifest.shape) == ("tensor", [2, 2])
    recipe = Recipe(loaded.manifest)
    request = recipe.checked(asked(customer=("INT64", [2], [3, 4])))
    found = recipe.lookups(request, shop.platform.online_store.read(recipe.asks(request)))
    given = recipe.matrix(recipe.gather(request, found, int(at(ROWS + 9).timestamp() * 1e6)).rows)
    assert (given.dtype, given.shape) == (np.float32, (2, 2, 2))
    before = given[:, 0, 0].tolist()  # a customer's order before is seven earlier, which tells the kind of the next
    assert loaded.target.decided(loaded.predict(given)).tolist() == [(one + 1) % 3 for one in before]
    assert np.isnan(Tensors("v", (2, 2)).rows([(None,)])).all()
    _watches(Profile.load(package), given)


def _watches(profile: Profile, given: Any) -> None:
    """Hold what is read off logged tensors against the profile: half the light moves one reading, not the other."""
    assert list(profile.columns) == ["picture", "brightness", "tilt", "score"]
    logged = [one for one in profile.sample["picture"].to_pylist() if one] * 2
    for factor, drifted in ((1.0, False), (0.5, True)):
        lines = [json.dumps({"picture": [factor * number for number in one]}) for one in logged]
        window = pa.table({"features": [*lines, "{}"], "score": pa.array([0.5] * (len(lines) + 1))})
        found = judge_window(profile, window, 100).columns["brightness"]
        assert found.drifted == drifted
        assert found.missing_share == pytest.approx(1 / (len(lines) + 1))


def test_blur_takes_sharpness_away_and_less_light_does_not() -> None:
    """On real digits; a picture of one colour has none, and cannot be divided by."""
    from sklearn.datasets import load_digits

    pictures = load_digits().images[:200].astype(np.float32)
    blurred = (pictures + np.roll(pictures, 1, 1) + np.roll(pictures, 1, 2) + np.roll(pictures, (1, 1), (1, 2))) / 4
    assert (sharpness(blurred) < 0.7 * sharpness(pictures)).mean() > 0.95
    assert np.allclose(sharpness(pictures / 4), sharpness(pictures), rtol=1e-4)
    assert np.allclose(brightness(pictures / 4), brightness(pictures) / 4)
    assert sharpness(np.ones((1, 8, 8), np.float32)).tolist() == [0.0]


def test_what_nobody_could_read_is_refused() -> None:
    """Of inputs that are no tensor, and by a function without a name."""
    with pytest.raises(InvalidSpec, match="takes a matrix"):
        replace(PICTURES, inputs="matrix")
    with pytest.raises(InvalidSpec, match="lambda"):
        replace(PICTURES, watched=(lambda pictures: pictures,))


def test_a_tensor_or_matrix_of_something_else_is_refused(shop: Shop, tmp_path: Path) -> None:
    """Another size, and other features beside it, with what there is; what no matrix holds, with what to do."""
    for model, said in (
        (replace(PICTURES, inputs=Tensor((3, 3))), "tensor of shape"),
        (replace(TEXTS, inputs=Tensor((2, 1)), fit=nearest), "lists of texts|vectors of 1 to 3"),
        (replace(TEXTS, inputs="matrix"), "inputs='columns'"),
    ):
        with pytest.raises(ContractBroken, match=said):
            packaged(shop, model, tmp_path)
    for shape in ((), (0,), "88", (2.0,)):
        with pytest.raises(InvalidSpec, match="shape"):
            Tensor(shape)  # type: ignore[arg-type]


def test_inputs_are_written_in_yaml() -> None:
    """As a word, or with a shape; what is neither is refused."""
    path = f"{__name__}:words"
    given = {"name": "m", "features": [path], "labels": path, "fit": path}
    for written, inputs in (("columns", "columns"), ({"shape": [2, 2]}, Tensor((2, 2)))):
        assert ModelFile.model_validate({**given, "inputs": written}).inputs == inputs
    for wrong in ("rows", {"shape": [0]}, {"shape": "ab"}):
        with pytest.raises(ValueError, match="inputs"):
            ModelFile.model_validate({**given, "inputs": wrong})
    with pytest.raises(InvalidSpec, match="'rows'"):
        replace(TEXTS, inputs="rows")  # type: ignore[arg-type]


def test_columns_refuse_what_they_do_not_hold() -> None:
    """And read Arrow's types, numpy's and plain values alike."""
    columns = Columns({"n": "number", "t": "text", "v": "numbers", "l": "texts"}, {"v": 2})
    good: dict[str, Any] = {"n": [True, None], "t": [b"a", "b"], "v": [[1, 2], None], "l": [["a"], []]}
    wanted = [{"n": 1.0, "t": "a", "v": [1.0, 2.0], "l": ["a"]}, {"n": None, "t": "b", "v": None, "l": None}]
    assert columns.matrix(good).to_pylist() == wanted
    arrow = {"n": pa.array([True, None]), "t": pa.array(["a", "b"]).dictionary_encode(), "v": pa.array(good["v"]),
             "l": pa.chunked_array([pa.array(good["l"])])}  # fmt: skip
    assert columns.matrix(arrow).to_pylist() == wanted
    assert columns.matrix({**good, "n": np.array([1.0, np.nan])})["n"].null_count == 1
    assert columns.rows([]).num_rows == 0
    for name, wrong in (
        ("n", ["a", 1]), ("t", [1, "a"]), ("v", [[1], None]), ("v", ["ab", None]), ("v", [[1, "x"], None]),
        ("l", ["a", "b"]), ("l", [[1], None]), ("n", [1.0]),
    ):  # fmt: skip
        with pytest.raises(ContractBroken, match="feature"):
            columns.matrix({**good, name: wrong})
    with pytest.raises(ContractBroken, match="not given"):
        columns.matrix({"n": [1.0]})
