"""Saves a version in MLflow's own format: the library's flavour, and a raw-row function."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import NotFound
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.targets.fitted_as import asked_by
from loopline.resources.mlflow import raw_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from mlflow.models import ModelSignature

    from loopline.platform_core.contracts.registry import Publication
    from loopline.platform_core.runtime.model.manifest import Manifest

LOADER = "loopline_raw_rows"
"""What the loader is called beside a model: a name that nothing else has."""
TAKES = {"lightgbm": "lightgbm", "onnx": "onnxruntime", "pickle": "scikit-learn"}
"""What the served form takes beside numpy, by the manifest's kind."""
WITHOUT = (
    "MLflow's own form is left out, since pandas is not installed where this was trained: pip install "
    "'loopline[mlflow]' there, and train again. Loopline itself serves what it needs from 'package'."
)
"""What a version says of itself that only Loopline can load."""


OTHERWISE = (
    "MLflow's own form is left out: without Loopline beside it, it would answer otherwise than the endpoint, as what "
    "models of this kind return ({kind}) is not what the estimator's predict_proba or predict gives. Loopline itself "
    "serves what it needs from 'package'."
)
"""The same of a kind of models whose predictions are its own affair."""


APART = (
    "MLflow's own form is left out: this model runs in a process of its own, which Loopline starts. Loopline itself "
    "serves what it needs from 'package'."
)
"""The same of a model with libraries of its own."""
INPUTS = (
    "MLflow's own form is left out: its function of raw rows makes matrices, and this model takes {inputs}. Loopline "
    "itself serves what it needs from 'package'."
)
"""The same of a model that is given no matrix."""
AVERAGED = (
    "MLflow's own form is left out: several forms answer together, for which MLflow has none. Loopline itself serves "
    "what it needs from 'package'."
)
"""The same of an ensemble."""


def missing(publication: Publication) -> str:
    """Say why MLflow's own form of a model cannot be written, "" where it can.

    All forms need pandas, which the versions alone do not; and the function has to answer as the endpoint does.
    """
    if importlib.util.find_spec("pandas") is None:
        return WITHOUT
    described = _manifest(publication.package)
    if described is not None and described.kind == "python":
        return APART
    if described is not None and described.inputs != "matrix":
        return INPUTS.format(inputs=described.inputs)
    if described is None or not described.target:
        return ""
    if described.kind not in TAKES:
        return AVERAGED
    return "" if _answers_alike(publication, described) else OTHERWISE.format(kind=described.target["kind"])


def _answers_alike(publication: Publication, described: Manifest) -> bool:
    """Ask the function about the example, and hold it against what the server loads; a null may be NaN to both."""
    import numpy as np

    example = publication.example.select([feature.name for feature in described.features])
    matrix = described.encoder().matrix({name: example.column(name) for name in example.column_names})
    with tempfile.TemporaryDirectory() as scratch:
        data = _served(publication.package, described, Path(scratch, "package"))
        try:
            found = raw_rows.RawRows(data).predict(_frame(example))
        except Exception:  # noqa: BLE001 - an estimator of a kind of its own has neither function, or another one
            return False
    own = load_model(publication.package).predict(matrix)
    _, apart = described.read_target().apart(np.nan_to_num(own), np.nan_to_num(found))
    return not apart


def save(publication: Publication, folder: Path) -> str:
    """Write the model with requirements, signature and input example; returns the folder.

    LightGBM's flavour is its text, any other estimator's is pickled. The function is the form that the endpoint
    serves, with its vocabulary. A package without a manifest of ours has the flavour's own function.
    """
    described = _manifest(publication.package)
    if described is None:
        _flavour(publication, folder, **_inferred(publication))
        return str(folder)
    with tempfile.TemporaryDirectory() as scratch:
        data = _served(publication.package, described, Path(scratch, "package"))
        loader = Path(shutil.copy(raw_rows.__file__, Path(scratch, f"{LOADER}.py")))
        native = Path(scratch, "native")
        _flavour(publication, native)
        _function(publication, described, data, loader, folder)
        _joined(native, folder)
    return str(folder)


def _manifest(package: Path) -> Manifest | None:
    import msgspec

    try:
        return manifests.load(package)
    except (NotFound, msgspec.MsgspecError):
        return None


def _flavour(publication: Publication, folder: Path, **described: Any) -> None:
    """Save the estimator as the library's own loader takes it."""
    import mlflow.lightgbm
    import mlflow.sklearn

    estimator: Any = getattr(publication.estimator, "booster_", publication.estimator)
    if _is_boosted(estimator):
        mlflow.lightgbm.save_model(estimator, str(folder), pip_requirements=_needs("lightgbm"), **described)
        return
    form = {"serialization_format": "cloudpickle", "pyfunc_predict_fn": asked_by(estimator)}
    needs = _needs("scikit-learn", "cloudpickle")
    mlflow.sklearn.save_model(estimator, str(folder), pip_requirements=needs, **form, **described)


def _is_boosted(estimator: Any) -> bool:
    return type(estimator).__module__.startswith("lightgbm")


def _inferred(publication: Publication) -> dict[str, Any]:
    """Describe a model by what it answers to its example, which is the matrix itself."""
    from mlflow.models import infer_signature

    example = publication.example.to_pandas()
    estimator: Any = getattr(publication.estimator, "booster_", publication.estimator)
    answer = getattr(estimator, asked_by(estimator))
    return {"signature": infer_signature(example, answer(example.to_numpy())), "input_example": example}


def _served(package: Path, described: Manifest, folder: Path) -> Path:
    """Copy what answers: manifest and artefact, without profiles of the data that it learnt from."""
    folder.mkdir()
    target = described.read_target()
    folder.joinpath(raw_rows.RAW).write_text(
        json.dumps({"numbers": target.width, "least": target.least, "asked": target.asked})
    )
    for name in (manifests.FILE, described.file):
        shutil.copy(package / name, folder / name)
    return folder


def _function(publication: Publication, described: Manifest, data: Path, loader: Path, folder: Path) -> None:
    """Save the function of raw rows."""
    import mlflow.pyfunc

    estimator: Any = getattr(publication.estimator, "booster_", publication.estimator)
    native = ("lightgbm",) if _is_boosted(estimator) else ("scikit-learn", "cloudpickle")
    example = publication.example.select([feature.name for feature in described.features])
    mlflow.pyfunc.save_model(
        str(folder),
        loader_module=LOADER,
        data_path=str(data),
        code_paths=[str(loader)],
        pip_requirements=_needs(*dict.fromkeys((*native, TAKES[described.kind]))),
        signature=_signature(example.schema, described),
        input_example=_frame(example),
    )


def _signature(columns: pa.Schema, described: Manifest) -> ModelSignature:
    """Name every feature with the type in which it comes raw; any may be null, and none may be left out.

    MLflow refuses nulls among vectors that are required, so those are not; the function misses one that is left out.
    """
    import numpy as np
    import pyarrow as pa
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import Array, DataType

    def column(name: str, kind: pa.DataType) -> ColSpec:
        if pa.types.is_list(kind):
            return ColSpec(Array(DataType.double), name, required=False)
        if name in described.vocabulary:
            return ColSpec("string", name)
        return ColSpec("boolean" if pa.types.is_boolean(kind) else "double", name)

    inputs = Schema(list(map(column, columns.names, columns.types)))
    width = described.read_target().width
    return ModelSignature(inputs, Schema([TensorSpec(np.dtype("float64"), (-1, width) if width > 1 else (-1,))]))


def _frame(example: pa.Table) -> pd.DataFrame:
    """Return the example as the signature wants it: texts as texts, and numbers as such that may be missing."""
    import pyarrow as pa

    return example.cast(pa.schema([(field.name, _plain(field.type)) for field in example.schema])).to_pandas()


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_boolean(kind) or pa.types.is_list(kind):
        return kind
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return pa.float64() if numeric else pa.string()


def _joined(native: Path, folder: Path) -> None:
    """Take the library's flavour over, so that its own loader goes on working."""
    from mlflow.models import Model

    own, joined = Model.load(str(native)), Model.load(str(folder))
    for name, settings in own.flavors.items():
        if name != "python_function":
            joined.add_flavor(name, **settings)
            file = settings.get("data") or settings["pickled_model"]
            shutil.copy(native / file, folder / file)
    joined.save(str(folder / "MLmodel"))


def _needs(*distributions: str) -> list[str]:
    """Name what loading takes; MLflow would start a process with the model to find out, for seconds."""
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("mlflow", "numpy", "pandas", *distributions)]
