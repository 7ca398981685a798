"""A model goes to a device: its folder scores alone, as the server does, or is not written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import ContractBroken, Unsupported
from loopline.platform_core.runtime.model.encode import matrix
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.scoring.edge import export
from loopline.platform_core.testing.model_packages import Constant, write_package

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
def test_a_device_answers_as_the_server_does(kind: str, tmp_path: Path, write_model, learnt) -> None:
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


def test_the_list_of_features_says_where_it_comes_from(tmp_path: Path, write_model, learnt) -> None:
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


def test_without_the_converter(tmp_path: Path, write_model, learnt, monkeypatch: pytest.MonkeyPatch) -> None:
    """The converter of LightGBM is an extra: whoever lacks it is told of it, and of the other way."""
    monkeypatch.setitem(sys.modules, "onnxmltools", None)
    monkeypatch.setitem(sys.modules, "onnxmltools.convert", None)
    with pytest.raises(Unsupported, match="'edge'"):
        export(write_model("lightgbm", tmp_path / "package").package, "1", learnt()[0], tmp_path / "edge")
