"""A model version as a folder that runs anywhere: an ONNX file, what its features are, and a script that scores."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from loopline.platform_core.errors import ContractBroken, Unsupported
from loopline.platform_core.runtime.model.encode import matrix
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.training.package import PARITY_ROWS, TOLERANCE

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.runtime.model.manifest import Manifest

ONNX, FEATURES, SCRIPT = "model.onnx", "features.json", "score.py"


@dataclass(frozen=True)
class Exported:
    """What was written: rows on which both forms were compared, and the largest difference of a probability."""

    folder: Path
    rows: int
    max_difference: float


def export(package: Path, version: str, sample: pa.Table, folder: Path) -> Exported:
    """Write ``model.onnx``, ``features.json`` and ``score.py`` into ``folder``.

    ``sample`` holds the features (training rows, as tables hold them); at most ``PARITY_ROWS`` of them, spread over the
    whole, are scored by the package as the server does, and by the script as a device does.

    Raises:
        Unsupported: the package has no ONNX form. ContractBroken: the ONNX form answers otherwise; no model is left.
    """
    served = load_model(package)
    if any(field.width for field in served.manifest.features):
        raise Unsupported(
            f"{served.manifest.model} takes vectors, which the script for devices does not read",
            "serve it by the endpoint, or let its view return the vector's numbers as features of their own",
        )
    sample = sample.take(np.arange(0, len(sample), max(1, -(-len(sample) // PARITY_ROWS))))
    folder.mkdir(parents=True, exist_ok=True)
    _write_onnx(served.manifest, package, folder / ONNX)
    shutil.copyfile(Path(__file__).with_name("edge_score.py"), folder / SCRIPT)
    about = _about(served.manifest, version, folder / ONNX)
    _write(folder, about)
    columns = [field.name for field in served.manifest.features]
    given = {name: sample.column(name) for name in columns}
    apart = _compared(folder, served.predict(matrix(given, columns, served.manifest.vocabulary)), sample)
    _write(folder, about | {"parity": {"rows": len(sample), "max_difference": apart, "tolerance": TOLERANCE}})
    return Exported(folder, len(sample), apart)


def _write_onnx(manifest: Manifest, package: Path, file: Path) -> None:
    if manifest.kind == "onnx":
        shutil.copyfile(package / manifest.file, file)
    elif manifest.kind == "lightgbm":
        file.write_bytes(_converted(package / manifest.file, len(manifest.features)))
    else:
        raise Unsupported(
            f"the package of {manifest.model} is a pickled estimator ({manifest.parity.why}), which has no ONNX form",
            "fit LightGBM, or a scikit-learn estimator that skl2onnx converts; a device with Python can load the "
            "package itself by loopline.platform_core.runtime.model.models.load_model",
        )


def _converted(booster: Path, features: int) -> bytes:
    try:
        from onnxmltools.convert import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType
    except ImportError as error:
        raise Unsupported(
            f"a LightGBM model is converted by onnxmltools, which is not installed ({error})",
            "install the extra 'edge', or copy model.txt, which LightGBM's C library reads on a device",
        ) from error
    import lightgbm

    given = [("features", FloatTensorType([None, features]))]
    model = convert_lightgbm(lightgbm.Booster(model_file=booster), initial_types=given, zipmap=False)
    converted: bytes = model.SerializeToString()
    return converted


def _about(manifest: Manifest, version: str, file: Path) -> dict[str, Any]:
    """Say all that a device must know, and where the model comes from."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    entities = {name: view.entity for view in manifest.views for name in view.features}
    features = [
        {"name": f.name, "type": "category" if f.category else "number", "served": f.served}
        | ({"entity": entities[f.name]} if f.name in entities else {})
        for f in manifest.features
    ]
    kept = ("model", "threshold", "cycle", "training_set", "entities", "views", "vocabulary")
    return {
        **{name: msgspec.to_builtins(getattr(manifest, name)) for name in kept},
        "version": version,
        "features": features,
        # labels come first, probabilities last
        "onnx": {"file": ONNX, "input": session.get_inputs()[0].name, "output": session.get_outputs()[-1].name},
    }


def _compared(folder: Path, expected: np.ndarray[Any, Any], sample: pa.Table) -> float:
    """Score as a device does; a model that answers otherwise is taken away."""
    from loopline.platform_core.scoring.edge_score import Model

    model = Model(folder)
    found = np.array(model.score(sample.select(model.names).to_pylist()))
    apart = float(np.max(np.abs(found - expected), initial=0.0))
    turned = int(np.sum((found >= model.about["threshold"]) != (expected >= model.about["threshold"])))
    if not apart < TOLERANCE or turned:
        folder.joinpath(ONNX).unlink()
        raise ContractBroken(
            f"the ONNX form of {model.about['model']} differs by {apart:.2g} on {len(sample)} rows, where "
            f"{TOLERANCE:g} is allowed, and decides otherwise on {turned}",
            "let features have fewer digits than float32 holds, or ask the server instead",
        )
    return apart


def _write(folder: Path, about: dict[str, Any]) -> None:
    folder.joinpath(FEATURES).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
