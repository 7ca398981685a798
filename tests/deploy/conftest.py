"""Every series that Loopline's processes write, with its labels: what rules and dashboards may ask for."""

from __future__ import annotations

import re

import pytest

from loopline.features_api.metrics import Metrics as FeatureMetrics
from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.ingestion.streams.stream_metrics import StreamMetrics
from loopline.platform_core.observability.exposition import families
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.platform_core.runtime.answering.freshness import Freshness, ViewUse
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.metrics_together import together
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.wire.bounds import Bounds

SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds to every series."""
_SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$")
_LABEL = re.compile(r'(\w+)="')


@pytest.fixture(scope="session")
def series(tmp_path_factory):
    """Return the labels of each series by its name: of every process that Loopline runs."""
    found = {"up": set(SCRAPED)}
    for line in [*server(), *stream(), *feature_service()]:
        match = _SERIES.fullmatch(line)
        if match:
            found[match[1]] = SCRAPED | {"worker"} | set(_LABEL.findall(match[2] or ""))
    return found | {name: SCRAPED | labels for name, labels in platform(tmp_path_factory.mktemp("series"))}


@pytest.fixture(scope="session")
def pages():
    """Return what a scrape gets of one worker, of two together, and of a stream, by name."""
    worker, streams = ("\n".join([*lines, ""]) for lines in (server(), stream()))
    return {"worker": worker, "workers": together({"1-7": worker, "1-8": worker}), "stream": streams}


def server():
    """Write the server's metrics after a request that failed."""
    metrics, freshness, bounds = Metrics(), Freshness(), Bounds(Limits())
    with pytest.raises(StoreUnavailable), metrics.request("shop.late"):
        raise StoreUnavailable("gone", "wait")
    freshness.count("shop.late", [ViewUse("shop.history.v1", [1], 1, 1)])
    bounds.refused["requests"] += 1
    return [*metrics.lines(), *freshness.lines(), *bounds.lines()]


def feature_service():
    """Write the feature service's metrics after a request."""
    metrics = FeatureMetrics()
    metrics.count("/features/online", 200, 0.001)
    return metrics.text().decode().splitlines()


def stream():
    """Write a stream's metrics after a failure."""
    metrics = StreamMetrics("shop/orders")
    metrics.lag = {0: 7}
    metrics.failures["StoreUnavailable"] += 1
    return metrics.text().decode().splitlines()


def platform(folder):
    """Yield the platform's own metrics and their labels."""
    opened = Platform(Environment("test", folder / "e.yaml", {}, f"sqlite:///{folder}/ledger.db", None, folder))
    yield from ((family.name, set(family.labels)) for family in families(opened, Installed((), ())))
    opened.close()
