"""A model goes to a device: its folder scores alone, as the server does, or is not written."""

from __future__ import annotations

import io
import json
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import lightgbm
import msgspec
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.audit import keys
from loopline.platform_core.errors import ContractBroken, Unsupported, Untrusted
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.runtime.model.encode import matrix
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.scoring.edge import export
from loopline.platform_core.signing.signer import Signer
from loopline.platform_core.signing.statement import KIND
from loopline.platform_core.targets import Binary, Regression
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.training.packaging.package import package as write_form
from tests.platform_core.scoring.conftest import learnt
from tests.platform_core.signing.signed import sign, swap, trust
from tests.platform_core.three_classes import Three, installed, package_of


class OtherBound(Binary):
    """A device would compare with another number than the server."""

    kind = "three"

    def bounds(self) -> dict[str, float | None]:
        """Add to the threshold."""
        return {"probability": None, "label": self.threshold + 0.1}


ALONE = """
import builtins, sys
allowed, real = {"numpy", "onnxruntime"}, builtins.__import__
def guarded(name, globals=None, *rest, **more):
    asker = (globals or {}).get("__name__", "")
    if asker == "__main__" and name.split(".")[0] not in allowed | sys.stdlib_module_names:
        raise ImportError(name + " is not on the device")
    return real(name, globals, *rest, **more)
builtins.__import__ = guarded
import runpy
runpy.run_path(sys.argv[1], run_name="__main__")
names = {name.split(".")[0] for name in sys.modules}
assert not names & {"loopline", "lightgbm", "sklearn", "pyarrow", "msgspec"}, names
"""


def alone(folder: Path, rows: list[dict[str, object]]) -> list[dict[str, float]]:
    """Run the folder's script in an interpreter of its own that finds nothing of ours."""
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    command = [sys.executable, "-I", "-c", ALONE, str(folder / "score.py")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", ["lightgbm", "onnx"])
def test_a_device_answers_as_the_server_does(kind: str, tmp_path: Path, write_model) -> None:
    """Gaps, unknown categories and letters of other alphabets included; all rows, and every decision."""
    package = write_model(kind, tmp_path / "package").package
    table, _ = learnt()
    done = export(package, "7", table, tmp_path / "edge")
    assert done.rows == 1_500
    assert done.max_difference < 1e-5
    rows = [*table.slice(0, 200).to_pylist(), {"article": "rød vase"}, {}]
    served, answers = load_model(package), alone(tmp_path / "edge", rows)
    names = [field.name for field in served.manifest.features]
    expected = served.predict(matrix({n: [r.get(n) for r in rows] for n in names}, names, served.manifest.vocabulary))
    np.testing.assert_allclose([answer["probability"] for answer in answers], expected, atol=1e-5, rtol=0)
    assert [answer["label"] for answer in answers] == (expected >= served.manifest.threshold).astype(int).tolist()


def test_the_list_of_features_says_where_it_comes_from(tmp_path: Path, write_model) -> None:
    """Order, types, entities, views, vocabulary, threshold; version, cycle and training set; how it was compared."""
    export(write_model("onnx", tmp_path / "package").package, "7", learnt()[0], tmp_path / "edge")
    about = json.loads((tmp_path / "edge/features.json").read_text())
    assert [(f["name"], f["type"], f["served"], f.get("entity")) for f in about["features"]] == [
        ("article", "category", "online", "customer"),
        ("orders", "number", "online", "customer"),
        ("spend", "number", "online", "customer"),
        ("amount", "number", "request", None),
    ]
    [view] = about["views"]
    assert (view["view"], view["ttl_days"]) == ("shop.spending.v1", 1.0)
    origin = [about[name] for name in ("model", "version", "cycle", "training_set", "threshold", "entities")]
    assert origin == ["shop.large_orders", "7", "cycle-1", "set-1", 0.4, ["customer"]]
    assert about["vocabulary"] == {"article": ["clock", "rød vase", "tray"]}
    assert about["parity"]["rows"] == 1_500


def test_a_model_that_would_answer_otherwise_is_not_written(tmp_path: Path, write_model) -> None:
    """A split between two numbers that float32 cannot tell apart: the server sees it, a device would not."""
    x = np.tile([[0, 0, 16_777_216.0, 0], [0, 0, 16_777_217.0, 0]], (200, 1))
    trees = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=1, verbosity=-1).fit(x, np.tile([0, 1], 200))
    package = write_model("lightgbm", tmp_path / "package").package
    trees.booster_.save_model(package / "model.txt")
    rows = pa.table({"article": pa.nulls(2, pa.string()), "orders": [0, 0], "spend": x[:2, 2], "amount": [0.0, 0.0]})
    with pytest.raises(ContractBroken, match="differs by"):
        export(package, "1", rows, tmp_path / "edge")
    assert not (tmp_path / "edge/model.onnx").exists()


def test_what_has_no_onnx_form(tmp_path: Path) -> None:
    """A pickled estimator is refused, with what to use instead."""
    package = write_package(tmp_path / "package", Constant(0.5))
    with pytest.raises(Unsupported, match="fit LightGBM"):
        export(package, "1", pa.table({"amount": [1.0]}), tmp_path / "edge")
    assert not (tmp_path / "edge/model.onnx").exists()


def test_without_the_converter(tmp_path: Path, write_model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The converter of LightGBM is an extra: whoever lacks it is told of it, and of the other way."""
    monkeypatch.setitem(sys.modules, "onnxmltools", None)
    monkeypatch.setitem(sys.modules, "onnxmltools.convert", None)
    with pytest.raises(Unsupported, match="'edge'"):
        export(write_model("lightgbm", tmp_path / "package").package, "1", learnt()[0], tmp_path / "edge")


@pytest.mark.parametrize("kind", ["lightgbm", "onnx"])
def test_a_regressor_on_a_device(kind: str, tmp_path: Path) -> None:
    """It answers with the number alone; the list says so, and which kind of model it is, with its settings."""
    from sklearn.linear_model import LinearRegression

    x = np.random.default_rng(3).normal(size=(300, 2)).astype(np.float32).astype(float)
    y = 300 * x[:, 0] - 20 * x[:, 1]
    fields = [FeatureField(name, "request") for name in ("width", "height")]
    target = Regression("GBP").to_json()
    draft = Manifest("t.m", "pickle", "", fields, [], ["id"], {}, 0.5, "s", "c", Parity(0, 0.0, ""), target=target)
    trees = lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbosity=-1)
    estimator = (trees if kind == "lightgbm" else LinearRegression()).fit(x, y)
    assert write_form(estimator, draft, x, tmp_path / "package").kind == kind
    table = pa.table({"width": x[:, 0], "height": x[:, 1]})
    done = export(tmp_path / "package", "3", table, tmp_path / "edge")
    assert (done.rows, done.max_difference < 1e-5) == (300, True)
    answers = alone(tmp_path / "edge", table.slice(0, 5).to_pylist())
    assert [list(answer) for answer in answers] == [["value"]] * 5
    np.testing.assert_allclose([answer["value"] for answer in answers], estimator.predict(x[:5]), rtol=1e-5)
    about = json.loads((tmp_path / "edge/features.json").read_text())
    assert about["outputs"] == [{"name": "value", "datatype": "FP64"}]
    assert (about["kind"], about["unit"]) == ("regression", "GBP")


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    """A script of some lines does not make their outputs: whoever needs them is told of the other ways."""
    package = package_of(tmp_path / "package", "customer")
    with installed(Three), pytest.raises(Unsupported, match=r"kit\.model is a three model.*serve it by the endpoint"):
        export(package, "1", pa.table({"amount": [1.0]}), tmp_path / "edge")
    assert not (tmp_path / "edge").exists()


def test_a_kind_that_makes_other_outputs_of_a_number_is_not_written(tmp_path: Path, write_model) -> None:
    """What it says of its bounds and what it answers are held to each other."""
    package = write_model("onnx", tmp_path / "package").package
    manifest = msgspec.structs.replace(manifests.load(package), target={"kind": "three", "threshold": 0.4})
    manifest.save(package)
    with installed(OtherBound), pytest.raises(ContractBroken, match="makes other outputs of the same numbers"):
        export(package, "1", learnt()[0], tmp_path / "edge")


def test_a_device_that_knows_the_trainer_refuses_what_was_changed(tmp_path: Path, write_model) -> None:
    """The package is proven first, what is written for the device is signed, and a change of either is refused."""
    key, stranger = keys.new("training"), keys.new("training")
    package = sign(write_model("onnx", tmp_path / "package").package, key, model="shop.large_orders", version="7")
    proof, folder = trust(key).of("shop.large_orders", "7"), tmp_path / "edge"
    export(package, "7", learnt()[0], folder, proof, Signer(key))
    row = json.dumps({"amount": 3.0})
    known = {"LOOPLINE_TRAINER": key.verifying.text, "LOOPLINE_MODEL": "shop.large_orders"}
    assert json.loads(on_device(folder, row, known)) == json.loads(on_device(folder, row, {}))
    for changed, said in (
        (known | {"LOOPLINE_TRAINER": stranger.verifying.text}, "the signature is not that of training"),
        (known | {"LOOPLINE_TRAINER": keys.new("another").verifying.text}, "another has not signed it"),
        (known | {"LOOPLINE_MODEL": "shop.other"}, "what training signed is shop.large_orders"),
    ):
        assert said in on_device(folder, row, changed)
    for name in ("model.onnx", "features.json"):
        swap(folder / name)
        assert f"{name} is not what training signed" in on_device(folder, row, known)
        swap(folder / name)
    sign(folder, key, kind=KIND)
    assert "loopline-package/1" in on_device(folder, row, known)
    folder.joinpath("signature.note").unlink()
    assert "training has not signed it" in on_device(folder, row, known)
    swap(package / "model.onnx")
    with pytest.raises(Untrusted, match=r"model\.onnx is not what was signed"):
        export(package, "7", learnt()[0], tmp_path / "again", proof, Signer(key))
    assert not (tmp_path / "again").exists()


def on_device(folder: Path, row: str, variables: dict[str, str]) -> str:
    """Run the folder's script with variables; gives what it prints, or why it ends."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "stdin", io.StringIO(row))
        for name, value in variables.items():
            patch.setenv(name, value)
        try:
            runpy.run_path(str(folder / "score.py"), run_name="__main__")
        except SystemExit as ended:
            return str(ended)
    return printed.getvalue()
