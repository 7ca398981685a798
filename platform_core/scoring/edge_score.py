"""Score rows with an exported model: ``python score.py < rows.jsonl``. It needs onnxruntime and numpy, nothing else.

Where ``LOOPLINE_TRAINER`` is a trainer's public key, only what that trainer signed is loaded, and of ``LOOPLINE_MODEL``
alone where that names a model; this needs cryptography, too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime


class Model:
    """The folder's model: ``score`` takes rows as dictionaries of feature values, a missing one None or left out."""

    def __init__(self, folder: Path, trainer: str = "", model: str = "") -> None:
        read = signed(folder, trainer, model) if trainer else lambda name: Path(folder, name).read_bytes()
        self.about = json.loads(read("features.json"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # converters declare shapes that every batch contradicts
        file = read(self.about["onnx"]["file"])
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.names = [feature["name"] for feature in self.about["features"]]
        self.codes = {name: dict(zip(known, range(len(known)))) for name, known in self.about["vocabulary"].items()}  # noqa: B905 - as long

    def score(self, rows: list[dict[str, object]]) -> list[float]:
        """Return the number that the model gives each row, of which its outputs are made."""
        matrix = np.array([[self.number(name, row.get(name)) for name in self.names] for row in rows], np.float32)
        asked = {self.about["onnx"]["input"]: matrix.reshape(len(rows), len(self.names))}
        return [float(np.ravel(numbers)[-1]) for numbers in self.session.run([self.about["onnx"]["output"]], asked)[0]]

    def answers(self, numbers: list[float]) -> list[dict[str, float]]:
        """Return each row's outputs: the number itself, or 1 where it reaches the output's bound and 0 below."""
        return [{output["name"]: self.output(output, number) for output in self.about["outputs"]} for number in numbers]

    def output(self, output: dict[str, object], number: float) -> float:
        """Make one output of a row's number."""
        return int(number >= output["at_least"]) if "at_least" in output else number  # type: ignore[operator]

    def number(self, name: str, value: object) -> float:
        """Encode a value: a missing one is NaN, a category its place in the vocabulary, an unknown one -1."""
        if value is None:
            return float("nan")
        return float(self.codes[name].get(str(value), -1)) if name in self.codes else float(value)  # type: ignore[arg-type]


def signed(folder: Path, trainer: str, model: str) -> Callable[[str], bytes]:
    """Return what reads those files of a folder that a trainer signed; ends where there is no such signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    note, place = Path(folder, "signature.note"), trainer.split("+", 2)
    text, _, below = note.read_text(encoding="utf-8").rpartition("\n\n") if note.exists() else ("", "", "")
    lines = [line.split(" ") for line in below.splitlines() if line.startswith(f"— {place[0]} ")]
    if not lines:
        sys.exit(f"the model in {folder} is refused: {place[0]} has not signed it")
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(place[2])[1:])
        public.verify(base64.b64decode(lines[0][2])[4:], f"{text}\n".encode())
    except (InvalidSignature, ValueError, IndexError):
        sys.exit(f"the model in {folder} is refused: the signature is not that of {place[0]}")
    said = json.loads(text)
    if said["kind"] != "loopline-edge/1" or (model and said["model"] != model):
        sys.exit(f"the model in {folder} is refused: what {place[0]} signed is {said['model']} as {said['kind']}")

    def read(name: str) -> bytes:
        content = Path(folder, name).read_bytes()
        if hashlib.sha256(content).hexdigest() != said["files"].get(name):
            sys.exit(f"the model in {folder} is refused: {name} is not what {place[0]} signed")
        return content

    return read


if __name__ == "__main__":
    model = Model(Path(__file__).parent, os.environ.get("LOOPLINE_TRAINER", ""), os.environ.get("LOOPLINE_MODEL", ""))
    for answer in model.answers(model.score([json.loads(line) for line in sys.stdin])):
        print(json.dumps(answer))  # noqa: T201
