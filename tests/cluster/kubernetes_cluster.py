"""The Kubernetes of the test session's own, brought up when the first test needs it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.cluster.images import ROOT, loopline_image, pause_image
from scripts.cluster.outside import Cluster, missing, obstacle, running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Run a cluster with one real node, which knows the image of our package; skipped where none can be."""
    if problem := obstacle():
        pytest.skip(problem)
    if absent := missing():
        pytest.fail(f"{', '.join(absent)} missing: run scripts/cluster.sh")
    with tempfile.TemporaryDirectory(prefix="loopline-cluster-") as folder:
        here = Path(folder)
        image = loopline_image(here, more=("loopline[kubernetes]", "pytest"), teams=(ROOT / "plugins" / "retail",))
        with running(here / "cluster", (pause_image(here), image)) as found:
            yield found
