"""Which images there are, what is in each, and how its program starts."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.images.contents import ROOT


@dataclass(frozen=True)
class Kind:
    """An image by name: what is installed, whole or without what it asks for, what runs, and whether Java is in it."""

    name: str
    wanted: tuple[str, ...]
    alone: tuple[str, ...] = ()
    module: str = "loopline.cli"
    ours: tuple[Path, ...] = (ROOT,)
    java: bool = False


def _lines(file: str) -> tuple[str, ...]:
    """Return the requirements in a file of the serving image, which its Dockerfile installs too."""
    lines = (ROOT / "deploy" / "images" / "serving" / file).read_text().splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


TAG: str = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]["version"]
"""A release's images have its version as their tag, as the chart has."""
PLATFORM_EXTRAS = "dagster-k8s,grpc,kafka,kubernetes,object-store,otel,postgres,redis"
"""What a cluster's processes may use; deploy/images/platform/Dockerfile installs the same."""


def kinds() -> dict[str, Kind]:
    """Return the images of a release by name; ``platform`` has the teams of this repository, ``spark`` Spark too."""
    retail = ROOT / "plugins" / "retail"
    serving = Kind(
        "serving",
        _lines("requirements.txt"),
        (*_lines("without-dependencies.txt"), "loopline"),
        "loopline.inference_server",
    )
    platform = Kind("platform", (f"loopline[{PLATFORM_EXTRAS}]", "loopline-retail"), ours=(ROOT, retail))
    spark = Kind("spark", (*platform.wanted, "loopline[spark]"), ours=platform.ours, java=True)
    return {one.name: one for one in (platform, serving, spark)}
