"""Score rows with an exported model: ``python score.py < rows.jsonl``. It needs onnxruntime and numpy, nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


class Model:
    """The folder's model: ``score`` takes rows as dictionaries of feature values, a missing one None or left out."""

    def __init__(self, folder: Path) -> None:
        self.about = json.loads(Path(folder, "features.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # converters declare label shapes that every batch contradicts
        file, providers = str(Path(folder, self.about["onnx"]["file"])), ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(file, options, providers=providers)
        self.names = [feature["name"] for feature in self.about["features"]]
        self.codes = {name: dict(zip(known, range(len(known)))) for name, known in self.about["vocabulary"].items()}  # noqa: B905 - as long

    def score(self, rows: list[dict[str, object]]) -> list[float]:
        """Return the probability of label 1 for each row."""
        matrix = np.array([[self.number(name, row.get(name)) for name in self.names] for row in rows], np.float32)
        asked = {self.about["onnx"]["input"]: matrix.reshape(len(rows), len(self.names))}
        return [float(pair[1]) for pair in self.session.run([self.about["onnx"]["output"]], asked)[0]]

    def number(self, name: str, value: object) -> float:
        """Encode a value: a missing one is NaN, a category its place in the vocabulary, an unknown one -1."""
        if value is None:
            return float("nan")
        return float(self.codes[name].get(str(value), -1)) if name in self.codes else float(value)  # type: ignore[arg-type]


if __name__ == "__main__":
    model = Model(Path(__file__).parent)
    for probability in model.score([json.loads(line) for line in sys.stdin]):
        print(json.dumps({"probability": probability, "label": int(probability >= model.about["threshold"])}))  # noqa: T201
