"""KServe's own Python server as an image: the peer's environment, the model beside it, as a user would bake it in."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import ROOT, interpreter
from benchmarks.serving import data, ours
from scripts.cluster import python_layer
from scripts.cluster.oci import Image, write_image, write_layer
from scripts.images.contents import SITE

NAME = "loopline.local/kserve:1"
MODELS = "models"
"""The folder with the models, beside the image and in it."""
_CODE = "/opt/measured"


def built(folder: Path) -> Path:
    """Write the models for both sides into a folder, and the image's archive."""
    ours.write(folder / MODELS, data.write(folder / MODELS))
    packages = next(Path(interpreter("kserve")).parents[1].glob("lib/python3*/site-packages"))
    layers = (
        write_layer(folder / "kserve-python.tar", python_layer.files(folder / "kserve-root")),
        write_layer(folder / "kserve-packages.tar", [(packages, SITE)]),
        write_layer(folder / "kserve-models.tar", _own(folder / MODELS)),
    )
    environment = {
        "PATH": "/usr/bin",
        "PYTHONPATH": f"{_CODE}:{SITE}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "HOME": "/tmp",
    }
    start = (str(python_layer.interpreter()), "-m", "benchmarks.peers.serve_kserve", f"/{MODELS}", "8080", "1")
    archive = write_image(folder / "kserve.tar", Image(NAME, layers, start, environment=environment))
    for layer in layers:
        layer.unlink()
    return archive


def _own(models: Path) -> list[tuple[Path, str]]:
    code = [ROOT / "benchmarks" / name for name in ("__init__.py", "peers", "serving")]
    found = [(path, f"{_CODE}/benchmarks/{path.name}") for path in code]
    return [*found, *((models / name, f"{MODELS}/{name}") for name in data.MODELS)]
