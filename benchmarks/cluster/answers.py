"""A request through gateway and pod: our server's, and KServe's own Python server's, on the same node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.cluster import kserve_image
from benchmarks.cluster.servers import PATH, Side, gateway
from benchmarks.cluster.site import Site
from benchmarks.serving.compare import bodies
from benchmarks.serving.load import NotAnsweredError, scripted, wrk
from benchmarks.serving.sides import TENSOR
from benchmarks.turns import in_turns

ONE, MANY = 1, 16
Figures = Mapping[str, float]


def compare(site: Site, sides: dict[str, Side], times: int, seconds: int) -> dict[str, Figures]:
    """Return each side's figures: ms, requests a second, and µs of the processor."""
    script = scripted([PATH], bodies(TENSOR, site.folder / kserve_image.MODELS, 1))
    direct = {name: f"http://{side.address}/" for name, side in sides.items()}
    with gateway(site, sides) as through:

        def asked(name: str) -> Figures:
            one = _answered(site, through[name], script, ONE, seconds)
            straight = _answered(site, direct[name], script, ONE, seconds)
            before = site.cpu_seconds(sides[name].selector)
            many = _answered(site, through[name], script, MANY, seconds)
            used = site.cpu_seconds(sides[name].selector) - before
            return {
                "p50": one["p50"] / 1e3,
                "p99": one["p99"] / 1e3,
                "p50, no gateway": straight["p50"] / 1e3,
                "requests a second": many["requests"] * 1e6 / many["us"],
                "CPU a request": used * 1e6 / many["requests"],
            }

        for name in sides:
            asked(name)  # not counted
        taken = in_turns({name: lambda name=name: asked(name) for name in sides}, times)
    return {name: {what: median(one[what] for one in found) for what in found[0]} for name, found in taken.items()}


def _answered(site: Site, url: str, script: Path, connections: int, seconds: int) -> Mapping[str, int]:
    found = wrk(url, script, connections, seconds, site.within)
    if found["failed"] or not found["requests"]:
        raise NotAnsweredError(f"{found['failed']} of {found['requests']} requests failed at {url}")
    return found
