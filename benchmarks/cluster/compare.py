"""On a cluster, beside the bare thing on the same one: Jobs, requests, replicas, canaries, and the chart."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping

from benchmarks.cluster import answers, chart, growing, jobs, kserve_image, servers
from benchmarks.cluster.asker import Asker
from benchmarks.cluster.site import Site, site
from benchmarks.page import Promise, Section
from benchmarks.serving.compare import bodies
from benchmarks.serving.sides import TENSOR

HOW = """A Kubernetes 1.35 with one real node on this machine (`make cluster`), warm: every image is on the node, each
side was run once before. *Job*: a task that returns what it is given, 0.5 cores, by our compute in a process that runs
already, as Dagster's does, until it has the answer; beside it the same Job by `kubectl create`, `kubectl wait` and
`kubectl get` of the pod's termination message. When a pod is made and runs is seen by one watch for both. *Request*:
the LightGBM model of the section on serving, one row as one tensor, by our server as the platform deploys it (relay,
shadow process and prediction log included) and by KServe's own Python server (`kserve.ModelServer` 0.21, the model in
its image, logs off) as a Deployment with the same requests and probes; through nginx on the node with kept connections,
and straight to the Service; wrk asks from the node's network, one connection, then sixteen; CPU is that of all
containers of the pod. *New replica*: from one to two, until the new pod answers at its own address, and until it is
Ready and so routed to. *Canary*: from an approved version, not yet sent anywhere, until callers of the Service get its
answers: ours in the server that runs, beside a Deployment with KServe's server for it, as `spec.canary` makes one.
*Chart*: from `helm install` with one team and two web servers, on real PostgreSQL, Redis and S3, until every Deployment
is available, and the processor time of all its pods while nobody asks anything (a daemon, two web servers, two code
servers, portal, features, watchdog, mirror); beside it a Deployment of Dagster's own web server alone, with nothing to
show.
Medians of {times}, of replicas {few}, canary and chart once."""
HEADER = ("what", "ours", "beside", "ratio")
TIMES, QUICK_TIMES = 5, 1
SECONDS, QUICK_SECONDS = 3, 1
REST_SECONDS, QUICK_REST_SECONDS = 120.0, 15.0
Row = tuple[str, float, float, str]
"""What, ours, beside, and the unit."""


def compare(quick: bool = False) -> Section:
    """Measure everything on one cluster."""
    times, seconds = (QUICK_TIMES, QUICK_SECONDS) if quick else (TIMES, SECONDS)
    with site() as place:
        rows = list(_measured(place, times, seconds, QUICK_REST_SECONDS if quick else REST_SECONDS))
    return section(rows, times)


def section(rows: list[Row], times: int) -> Section:
    """Put what was measured beside each other, and hold it to what was promised."""
    found = {what: ours / beside for what, ours, beside, _ in rows}
    (cores,) = (ours for what, ours, _, _ in rows if what == "chart: cores at rest")
    cells = [
        [what, _cell(ours, unit), _cell(beside, unit), f"{ours / beside:.2f}"] for what, ours, beside, unit in rows
    ]
    promises = [
        Promise("Job until its answer, ours / kubectl", found["Job: answer"], 1.2),
        Promise("request through the gateway, p50, ours / KServe's", found["request: p50"], 1),
        Promise("CPU of a request, ours / KServe's", found["request: CPU a request"], 0.5),
        Promise("first answer of a new replica, ours / KServe's", found["new replica: answers"], 1.2),
        Promise("approved version until its canary answers, ours / KServe's", found["canary: answers"], 1),
        Promise("the chart at rest, in cores", cores, 0.3),
    ]
    return Section("On a cluster", HOW.format(times=times, few=max(1, times // 2)), HEADER, cells, promises)


def _measured(place: Site, times: int, seconds: int, rest_seconds: float) -> Iterator[Row]:
    _tell("Jobs")
    yield from _rows("Job", *jobs.compare(place, times), "s")
    _tell("servers")
    theirs, (ours, serving) = servers.theirs(place), servers.ours(place)
    sides = {"ours": ours, "theirs": theirs}
    figures = answers.compare(place, sides, times, seconds)
    yield from _rows("request", figures["ours"], figures["theirs"], "ms")
    asker = Asker(place.within, bodies(TENSOR, place.folder / kserve_image.MODELS, 1))
    try:
        _tell("replicas")
        grown = growing.replicas(place, sides, asker, max(1, times // 2))
        yield from _rows("new replica", grown["ours"], grown["theirs"], "s")
        _tell("canary")
        yield ("canary: answers", *growing.canary(place, serving, ours, asker), "s")
    finally:
        asker.close()
        serving.close()
    servers.removed(place)
    _tell("chart")
    yield from _rows("chart", *chart.compare(place, rest_seconds), "s")


def _rows(what: str, ours: Mapping[str, float], beside: Mapping[str, float], unit: str) -> Iterator[Row]:
    units = {"requests a second": "/s", "CPU a request": "µs", "cores at rest": "cores"}
    for name, value in ours.items():
        yield f"{what}: {name}", value, beside[name], units.get(name, unit)


def _cell(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if unit in {"/s", "µs"} else f"{value:.2f} {unit}"


def _tell(what: str) -> None:
    print(f"cluster: {what}, {time.strftime('%X')}", file=sys.stderr, flush=True)
