"""The image of the tests in which Spark's driver and executors run: our package with Spark and Java."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path

from scripts.cluster import java_layer, python_layer, seed
from scripts.cluster.images import Images
from scripts.cluster.oci import Image, write_image, write_layer
from scripts.images.contents import ENVIRONMENT, SITE

NAME = "loopline.local/spark:1"
DISTRIBUTIONS = ("pyspark", "py4j", "pandas")
"""This environment's own files will do: they share none with other distributions."""


def spark_image(folder: Path, images: Images) -> Path:
    """Write the archive, for a node that has our image, whose layer lies in the folder; it is 0.8 GB."""
    below = tuple((digest, size) for digest, size in json.loads((images.seed / seed.LAYERS).read_text()))
    packages = ((Path(str(distribution(name).locate_file(name))), f"{SITE}/{name}") for name in DISTRIBUTIONS)
    layer = write_layer(folder / "spark-layer.tar", [*packages, *java_layer.files()])
    environment = {**ENVIRONMENT, "JAVA_HOME": str(java_layer.home())}
    start = (str(python_layer.interpreter()), "-m", "loopline.cli")
    layers = (folder / "own-layer.tar", layer)
    archive = write_image(folder / "spark.tar", Image(NAME, layers, start, below=below, environment=environment))
    layer.unlink()
    return archive
