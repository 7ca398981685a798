"""Edge export of a model version: a folder with an ONNX file, its features, and a scoring script."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken, Unsupported
from loopline.platform_core.runtime.model.encode import matrix
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.targets.target import TOLERANCE, Target
from loopline.platform_core.training.packaging.package import PARITY_ROWS

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.runtime.model.files import Package
    from loopline.platform_core.runtime.model.manifest import Manifest
    from loopline.platform_core.runtime.model.models import LoadedModel
    from loopline.platform_core.signing.signer import Signer
    from loopline.platform_core.signing.trust import Proof

ONNX, FEATURES, SCRIPT = "model.onnx", "features.json", "score.py"


@dataclass(frozen=True)
class Exported:
    """What was written: rows on which both forms were compared, and the largest difference of a number."""

    folder: Path
    rows: int
    max_difference: float


def export(  # noqa: PLR0913, PLR0917 - a version, by what it is checked and proven, and where it goes
    package: Path, version: str, sample: pa.Table, folder: Path, proof: Proof | None = None, signs: Signer | None = None
) -> Exported:
    """Write ``model.onnx``, ``features.json`` and ``score.py`` into ``folder``.

    Where packages are signed, ``proof`` is asked first, and what is written is signed by ``signs``: a device that knows
    the trainer's key can refuse all else.

    ``sample`` holds the features (training rows, as tables hold them); at most ``PARITY_ROWS`` of them, spread over the
    whole, are scored by the package as the server does, and by the script as a device does.

    Raises:
        Unsupported: the package has no ONNX form, or is of a kind whose outputs the script does not make.
        ContractBroken: the ONNX form answers otherwise; no model is left. Untrusted: as ``load_model``.
    """
    served = load_model(package, proof)
    if served.manifest.inputs != "matrix":
        raise Unsupported(
            f"{served.manifest.model} takes {served.manifest.inputs}, which the script for devices does not make",
            "serve it by the endpoint, or declare Model(inputs='matrix')",
        )
    if served.target.bounds() is None:
        raise Unsupported(
            f"{served.manifest.model} is a {served.target.kind} model, whose outputs the script does not make",
            "serve it by the endpoint; a device with Python can load the package itself by "
            "loopline.platform_core.runtime.model.models.load_model",
        )
    if any(field.width for field in served.manifest.features):
        raise Unsupported(
            f"{served.manifest.model} takes vectors, which the script for devices does not read",
            "serve it by the endpoint, or let its view return the vector's numbers as features of their own",
        )
    sample = sample.take(np.arange(0, len(sample), max(1, -(-len(sample) // PARITY_ROWS))))
    folder.mkdir(parents=True, exist_ok=True)
    _write_onnx(served.manifest, package if proof is None else proof.opened(package), folder / ONNX)
    shutil.copyfile(Path(__file__).with_name("edge_score.py"), folder / SCRIPT)
    about = _about(served, version, folder / ONNX)
    _write(folder, about)
    columns = [field.name for field in served.manifest.features]
    given = {name: sample.column(name) for name in columns}
    expected = served.predict(matrix(given, columns, served.manifest.vocabulary))
    apart = _compared(folder, served.target, expected, sample)
    _write(folder, about | {"parity": {"rows": len(sample), "max_difference": apart, "tolerance": TOLERANCE}})
    if signs is not None:
        signs.bundled(served.manifest.model, version, folder, (ONNX, FEATURES, SCRIPT))
    return Exported(folder, len(sample), apart)


def _write_onnx(manifest: Manifest, package: Package, file: Path) -> None:
    own = package.joinpath(manifest.file)
    if manifest.kind == "onnx":
        file.write_bytes(own.read_bytes())
    elif manifest.kind == "lightgbm":
        file.write_bytes(_converted(own.read_bytes(), len(manifest.features)))
    else:
        raise Unsupported(
            f"the package of {manifest.model} is a pickled estimator ({manifest.parity.why}), which has no ONNX form",
            "fit LightGBM, or a scikit-learn estimator that skl2onnx converts; a device with Python can load the "
            "package itself by loopline.platform_core.runtime.model.models.load_model",
        )


def _converted(booster: bytes, features: int) -> bytes:
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
    model = convert_lightgbm(lightgbm.Booster(model_str=booster.decode()), initial_types=given, zipmap=False)
    converted: bytes = model.SerializeToString()
    return converted


def _about(served: LoadedModel, version: str, file: Path) -> dict[str, Any]:
    """Say all that a device must know, and where the model comes from."""
    import onnxruntime

    manifest, bounds = served.manifest, served.target.bounds() or {}
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    entities = {name: view.entity for view in manifest.views for name in view.features}
    features = [
        {"name": f.name, "type": "category" if f.category else "number", "served": f.served}
        | ({"entity": entities[f.name]} if f.name in entities else {})
        for f in manifest.features
    ]
    outputs = [
        {"name": one.name, "datatype": one.datatype}
        | ({} if bounds[one.name] is None else {"at_least": bounds[one.name]})
        for one in served.outputs.each
    ]
    kept = ("model", "cycle", "training_set", "entities", "views", "vocabulary")
    return {
        **served.target.to_json(),
        **{name: msgspec.to_builtins(getattr(manifest, name)) for name in kept},
        "version": version,
        "features": features,
        "outputs": outputs,
        # what is decided comes first, numbers last
        "onnx": {"file": ONNX, "input": session.get_inputs()[0].name, "output": session.get_outputs()[-1].name},
    }


def _compared(folder: Path, target: Target, expected: NDArray[np.float64], sample: pa.Table) -> float:
    """Score as a device does; a model that answers otherwise is taken away."""
    from loopline.platform_core.scoring.edge_score import Model

    model = Model(folder)
    rows = sample.select(model.names).to_pylist()
    numbers = model.score(rows)
    apart, problem = target.apart(expected, np.array(numbers, dtype=np.float64))
    if not problem and not _same(target.answer(numbers), model.answers(numbers)):
        problem = "makes other outputs of the same numbers"
    if problem:
        folder.joinpath(ONNX).unlink()
        raise ContractBroken(
            f"the ONNX form of {model.about['model']} {problem}, where {TOLERANCE:g} is allowed",
            "let features have fewer digits than float32 holds, or ask the server instead",
        )
    return apart


def _same(answer: Mapping[str, list[Any]], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether the server's outputs are those that the script makes of each row."""
    return [dict(zip(answer, values, strict=True)) for values in zip(*answer.values(), strict=True)] == list(rows)


def _write(folder: Path, about: dict[str, Any]) -> None:
    folder.joinpath(FEATURES).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
