"""A server answers what the model's target says: a number, or a name and three chances, in each of its ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tritonclient.http as triton

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.clock import WallClock
from loopline.platform_core.runtime import shadow_log
from loopline.platform_core.runtime.grpc.service import GrpcService
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.model.batching import Batcher
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.runtime.model.thread_choice import THREADS
from loopline.platform_core.runtime.prediction_log import log, log_table
from loopline.platform_core.runtime.replay import Replay, ShadowModel
from loopline.platform_core.targets import Output, Regression, Target
from loopline.platform_core.testing.parts.model_packages import ENTITY, write_package
from loopline.platform_core.training.packaging.package import package
from tests.platform_core.runtime.conftest import MODEL, grpc_request, in_loop, tensors
from tests.platform_core.three_classes import NAMES, Thirds, Three, chances, installed

RNG = np.random.default_rng(5)
X = RNG.normal(size=(200, 2)).astype(np.float32).astype(np.float64)
Y = 30 * X[:, 0] - 20 * X[:, 1] + 100
ASKED = {"customer_id": ["a", "é"], "f0": X[:2, 0].tolist(), "f1": X[:2, 1].tolist()}
BOTH = {"customer_id": ["a", "é"], "amount": [9.0, 1.0]}
SAID = [chances(9.0), chances(1.0)]


def manifest(target: Target) -> Manifest:
    """Draft a package's manifest."""
    fields, said = [FeatureField(f"f{n}", "request") for n in range(2)], {"target": target.to_json()}
    return Manifest(MODEL, "pickle", "", fields, [], [ENTITY], {}, 0.5, "s", "c-1", Parity(0, 0.0, ""), **said)


@pytest.fixture(scope="module")
def regressions(tmp_path_factory) -> Mapping[str, tuple[Path, list[float]]]:
    """Package regressors in each form, beside what their libraries say of the two rows that are asked."""
    import lightgbm
    from sklearn.linear_model import LinearRegression
    from sklearn.svm import NuSVR

    trees = lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbosity=-1).fit(X, Y)
    fitted = {"lightgbm": trees, "onnx": LinearRegression().fit(X, Y), "pickle": NuSVR().fit(X[:20], Y[:20])}
    made = {}
    for kind, estimator in fitted.items():
        folder = tmp_path_factory.mktemp(kind)
        if kind == "pickle":  # whatever ONNX takes, this one is served as it is
            folder = write_package(folder / "own", estimator, requested=["f0", "f1"], target=Regression())
        else:
            assert package(estimator, manifest(Regression()), X, folder).kind == kind
        made[kind] = folder, estimator.predict(X[:2]).tolist()
    return made


def serve(server, folder: Path) -> None:
    """Serve a package as version 1."""
    server.route(Served("1", folder, "c-1"))


def three(server) -> None:
    """Serve a model of three chances."""
    server.serve(Thirds(), target=Three())


def grpc_answer(server, columns: Mapping[str, Sequence[Any]], raw: bool = False) -> Any:
    """Ask over gRPC, without a socket."""
    asked = grpc_request(columns, raw)
    return asyncio.run(GrpcService(server.inference, Metrics(), lambda: True).model_infer(asked))


def binary(server, columns: Mapping[str, Sequence[Any]], **more: Any) -> triton.InferResult:
    """Ask for bytes, and let Triton's own client read them."""
    reply = server.infer(columns, parameters={"binary_data_output": True}, **more)
    return triton.InferResult.from_response_body(
        reply.body, False, int(reply.headers["inference-header-content-length"])
    )


@pytest.mark.parametrize("kind", ["lightgbm", "onnx", "pickle"])
def test_a_regressor_answers_with_its_number(server, regressions, kind):
    """As JSON, as bytes and over gRPC; the log holds it as the score, and nothing beside it."""
    folder, expected = regressions[kind]
    serve(server, folder)
    said = server.infer(ASKED).json["outputs"]
    assert [(o["name"], o["shape"], o["datatype"]) for o in said] == [("value", [2], "FP64")]
    assert said[0]["data"] == pytest.approx(expected, rel=1e-6)
    assert binary(server, ASKED).as_numpy("value").tolist() == said[0]["data"]
    (typed,) = grpc_answer(server, ASKED).outputs
    assert (typed.name, typed.datatype, list(typed.shape)) == ("value", "FP64", [2])
    assert list(typed.contents.fp64_contents) == said[0]["data"]
    (raw,) = grpc_answer(server, ASKED, raw=True).raw_output_contents
    assert np.frombuffer(raw, "<f8").tolist() == said[0]["data"]
    assert all((record.scores, record.raw) == (said[0]["data"], None) for _, record in server.logged)


def test_a_server_says_which_outputs_there_are(server, regressions):
    """Metadata, Triton's configuration, OpenAPI, and whoever asks for another output."""
    serve(server, regressions["lightgbm"][0])
    value = {"name": "value", "datatype": "FP64", "shape": [-1]}
    assert server.ask("GET", f"/v2/models/{MODEL}").json["outputs"] == [value]
    config = server.ask("GET", f"/v2/models/{MODEL}/config").json
    assert config["output"] == [{"name": "value", "data_type": "TYPE_FP64", "dims": []}]
    schemas = server.ask("GET", "/openapi.json").json["components"]["schemas"]
    assert schemas["Request"]["properties"]["outputs"]["items"]["properties"]["name"] == {"enum": ["value"]}
    (answered,) = schemas["Answer"]["properties"]["outputs"]["items"]["anyOf"]
    assert (answered["properties"]["name"], answered["properties"]["datatype"]) == (
        {"const": "value"},
        {"const": "FP64"},
    )
    refused = server.infer(ASKED, outputs=[{"name": "label"}])
    assert (refused.status, refused.error) == (400, "no output 'label' → ask for value")
    assert not server.logged


def test_before_a_model_is_there_openapi_knows_no_outputs(server):
    """A server that loads nothing yet describes its paths all the same."""
    said = server.ask("GET", "/openapi.json").json["components"]["schemas"]
    assert said["Request"]["properties"]["outputs"]["items"]["properties"]["name"] == {"type": "string"}


def test_three_chances_and_a_name(server):
    """Texts as JSON; an output of three values a row has shape [n, 3], its data row after row."""
    with installed(Three):
        three(server)
    reply = server.infer(BOTH, id="r")
    assert reply.json["outputs"] == [
        {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["blå", "röd%d"]},
        {"name": "probabilities", "shape": [2, 3], "datatype": "FP64", "data": [*SAID[0], *SAID[1]]},
    ]
    named = server.infer(BOTH, id="r", outputs=[{"name": "label"}, {"name": "probabilities"}])
    assert named.body == reply.body
    one = server.infer({name: values[:1] for name, values in BOTH.items()}).json["outputs"]
    assert [(o["shape"], o["data"]) for o in one] == [([1], ["blå"]), ([1, 3], SAID[0])]
    assert server.ask("GET", f"/v2/models/{MODEL}").json["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]},
    ]
    config = server.ask("GET", f"/v2/models/{MODEL}/config").json["output"]
    assert [(o["data_type"], o["dims"]) for o in config] == [("TYPE_STRING", []), ("TYPE_FP64", [3])]


def test_three_chances_as_bytes(server):
    """Triton's client reads texts and matrix; over gRPC both come raw or typed."""
    with installed(Three):
        three(server)
    told = binary(server, BOTH)
    assert [text.decode() for text in told.as_numpy("label")] == ["blå", "röd%d"]
    assert told.as_numpy("probabilities").tolist() == SAID
    names = server.infer(BOTH, outputs=[{"name": "label", "parameters": {"binary_data": True}}])
    assert names.body.endswith("\4\0\0\0blå\6\0\0\0röd%d".encode())
    label, probabilities = grpc_answer(server, BOTH).outputs
    assert [text.decode() for text in label.contents.bytes_contents] == ["blå", "röd%d"]
    assert (list(probabilities.shape), list(probabilities.contents.fp64_contents)) == ([2, 3], [*SAID[0], *SAID[1]])
    texts, matrix = grpc_answer(server, BOTH, raw=True).raw_output_contents
    assert (texts, np.frombuffer(matrix, "<f8").tolist()) == (
        "\4\0\0\0blå\6\0\0\0röd%d".encode(),
        [*SAID[0], *SAID[1]],
    )


def test_the_log_holds_reading_and_numbers(server, tmp_path):
    """The reading is the score, the numbers are kept as they were; a failure has neither."""
    with installed(Three):
        three(server)
    server.infer(BOTH)
    assert server.infer({"customer_id": ["a"], "amount": [-1.0]}).status == 500
    good, bad = (record for _, record in server.logged)
    assert (good.scores, good.raw) == ([max(row) for row in SAID], SAID)
    assert (bad.status, bad.scores, bad.raw) == (500, None, None)
    written = log.PredictionLog(tmp_path, "w")
    written.write_many(MODEL, [good, bad])
    written.close()
    rows = log_table.read_after(tmp_path, MODEL, None)[0].to_pylist()
    assert [(row["score"], row["raw"]) for row in rows] == [(0.9, SAID[0]), (max(SAID[1]), SAID[1]), (None, None)]


@pytest.mark.parametrize("timed", [0, 50])
def test_what_was_answered_is_replayed(server, tmp_path, monkeypatch, timed):
    """Alone and together: a shadow says the same of the same features, and its row holds all numbers."""
    monkeypatch.setattr("loopline.platform_core.runtime.replay.TIMED", timed)
    root, into = tmp_path / "serving", log.PredictionLog(tmp_path / "serving", f"{shadow_log.PREFIX}s")
    with installed(Three):
        shadow = server.served("2", Thirds(), target=Three())
        three(server)
        shadow_log.begin(root, DesiredState(MODEL, 1, Served("1", tmp_path, "c"), shadow=shadow))
        replay = Replay(root, MODEL, ShadowModel(shadow), WallClock())
    for amount in (9.0, 1.0):
        server.infer({"customer_id": ["a", "b"], "amount": [amount, 2.0]})
    asked = log.PredictionLog(root, "w")
    asked.write_many(MODEL, [record for _, record in server.logged])
    assert list(replay.run(into)) == [2]
    rows = log_table.read_after(root, MODEL, None)[0].to_pylist()
    seen = {role: [(r["score"], r["raw"]) for r in rows if r["role"] == role] for role in ("stable", "shadow")}
    assert seen["shadow"] == seen["stable"] == [(max(row), row) for row in map(chances, (9.0, 2.0, 1.0, 2.0))]


@pytest.mark.usefixtures("untimed")
def test_many_classes_of_a_booster(server, tmp_path):
    """LightGBM gives a number a class, for one row and for many, as its own library does; requests of one turn too."""
    import lightgbm

    data = lightgbm.Dataset(X, np.digitize(Y, [90, 110]))
    settings = {"objective": "multiclass", "num_class": 3, "num_threads": 1, "verbose": -1}
    trees = lightgbm.train(settings, data, num_boost_round=4)
    trees.save_model(tmp_path / "model.txt")
    msgspec.structs.replace(manifest(Three()), kind="lightgbm", file="model.txt").save(tmp_path)
    with installed(Three):
        model = load_model(tmp_path)
        serve(server, tmp_path)
    expected = trees.predict(X, num_threads=1)
    for rows in (1, 16, 17, 200):
        assert np.array_equal(model.predict(X[:rows]), expected[:rows])
    body = json.dumps({"inputs": tensors(**{name: values[:1] for name, values in ASKED.items()})}).encode()
    head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    for sent in server.crowd([head + body] * 3):
        label, probabilities = json.loads(sent.split(b"\r\n\r\n", 1)[1])["outputs"]
        assert (label["data"], probabilities["data"]) == ([NAMES[expected[0].argmax()]], expected[0].tolist())
    assert (server.taken, [record.raw for _, record in server.logged]) == (3, [[expected[0].tolist()]] * 3)


class Two(Three):
    """The second of two chances may come alone."""

    width, outputs = 2, (Output("probabilities", "FP64", 2),)

    def served(self, given):
        return np.column_stack([1 - given, given]) if given.ndim == 1 else given

    def answer(self, raw):
        return {"probabilities": raw}


@pytest.mark.parametrize("objective", [{"objective": "binary"}, {"objective": "multiclass", "num_class": 2}])
def test_a_booster_of_two_classes_gives_one_number_or_both(tmp_path, objective):
    """Its target makes both of one; for a number that is none of theirs nothing is made."""
    import lightgbm

    data = lightgbm.Dataset(X, (Y > 100).astype(float))
    trees = lightgbm.train(objective | {"num_threads": 1, "verbose": -1}, data, num_boost_round=3)
    trees.save_model(tmp_path / "model.txt")
    msgspec.structs.replace(manifest(Two()), kind="lightgbm", file="model.txt").save(tmp_path)
    with installed(Two):
        model = load_model(tmp_path)
    assert np.array_equal(model.predict(X), Two().served(trees.predict(X, num_threads=1)))


def test_many_classes_of_an_onnx_model(tmp_path):
    """The last output of a converted classifier is its matrix of probabilities."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(X, np.digitize(Y, [90, 110]))
    converted = to_onnx(fitted, X[:1].astype(np.float32), options={"zipmap": False})
    tmp_path.joinpath("model.onnx").write_bytes(converted.SerializeToString())
    msgspec.structs.replace(manifest(Three()), kind="onnx", file="model.onnx").save(tmp_path)
    with installed(Three):
        assert np.allclose(load_model(tmp_path).predict(X), fitted.predict_proba(X), atol=1e-5)


class Above(Regression):
    """What trees say below 100 counts as that."""

    kind = "three"

    def served(self, given):
        return given.clip(100)


def test_a_kind_has_the_last_word_on_what_trees_say(tmp_path, regressions):
    """Also where a row has one number."""
    folder, _ = regressions["lightgbm"]
    (tmp_path / "model.txt").write_bytes((folder / "model.txt").read_bytes())
    msgspec.structs.replace(manifest(Above()), kind="lightgbm", file="model.txt").save(tmp_path)
    with installed(Above):
        said = load_model(tmp_path).predict(X)
    assert np.array_equal(said, load_model(folder).predict(X).clip(100))


class Unsure(Three):
    """It has no reading of what is too sure."""

    def reading(self, raw):
        """Read the largest.

        Raises:
            ValueError: one is above 0.95.
        """
        if (raw > 0.95).any():
            raise ValueError("too sure")
        return super().reading(raw)


def test_a_reading_that_fails_is_the_requests_own_failure(server):
    """It is logged as one, and others are answered."""
    with installed(Unsure):
        server.serve(Thirds(), target=Unsure())
    refused, good = (server.infer({"customer_id": ["a"], "amount": [amount]}) for amount in (9.9, 9.0))
    assert (refused.status, "ValueError: too sure" in refused.error, good.status) == (500, True, 200)
    assert [record.status for _, record in server.logged] == [500, 200]


@in_loop
async def test_requests_that_share_a_prediction(server):
    """Each is given its own rows of the matrix that the model made of all."""
    with installed(Three):
        three(server)
    (version,) = server.inference.models[MODEL].route.versions
    batcher = Batcher(version.model.predict, 256, THREADS)
    together = await asyncio.gather(*(batcher(np.array([[float(n)]] * n)) for n in (1, 2, 3)))
    assert [found.tolist() for found in together] == [[chances(n)] * n for n in (1, 2, 3)]


def test_a_booster_of_another_count_is_refused(tmp_path, regressions):
    """One number a row is not three."""
    folder, _ = regressions["lightgbm"]
    (tmp_path / "model.txt").write_bytes((folder / "model.txt").read_bytes())
    msgspec.structs.replace(manifest(Three()), kind="lightgbm", file="model.txt").save(tmp_path)
    with installed(Three), pytest.raises(ContractBroken, match="another count of numbers: 1, not 3"):
        load_model(tmp_path)


def kind(name, base=Three, **said):
    """Make a kind of which something is otherwise."""
    return type(name, (base,), said)


LABEL, CHANCES = Output("label", "BYTES"), Output("probabilities", "FP64", 3)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        # all its numbers are its reading
        (kind("NoReading", reading=lambda _, raw: raw), r"the reading of 2 rows has shape \[2, 3\]"),
        # it has one number, which it reads otherwise than it is logged
        (kind("OwnReading", Regression, kind="three", reading=lambda _, raw: raw + 1), "or is not their only number"),
        # it answers with what it does not say
        (kind("OtherOutputs", answer=lambda _, raw: {"probabilities": raw}), "it answers with probabilities, and says"),
        (
            kind("OtherWidth", outputs=(LABEL, Output("probabilities", "FP64", 2))),
            r"its probabilities of 2 rows has shape \[2, 3\]",
        ),
        (kind("NoType", outputs=(Output("label", "TEXT"), CHANCES)), "'label' holds 1 TEXT a row"),
        (kind("TwiceNamed", outputs=(LABEL, Output("label", "FP64", 3))), "names of their own: label, label"),
    ],
)
def test_a_kind_that_does_not_hold_together_is_refused_when_it_is_loaded(tmp_path, kind, words):
    """Before a caller meets it."""
    estimator = Thirds() if issubclass(kind, Three) else _One()
    folder = write_package(tmp_path / "package", estimator, target=kind())
    with installed(kind), pytest.raises(ContractBroken, match=words):
        load_model(folder)


class _One:
    def predict(self, x: Any) -> Any:
        return x[:, 0]
