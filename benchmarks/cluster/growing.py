"""What is new and answers: a further replica of a Deployment, and a canary beside what is stable."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.cluster.asker import Asker
from benchmarks.cluster.servers import MODEL, PATH, Side, deployment, version
from benchmarks.cluster.site import NAMESPACE, Site, until
from benchmarks.serving import data, ours
from benchmarks.turns import in_turns, medians
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.training.packaging.package import package
from loopline.resources.kubernetes.endpoint_manifests import HTTP_PORT

Stages = Mapping[str, float]


def replicas(site: Site, sides: dict[str, Side], asker: Asker, times: int) -> dict[str, Stages]:
    """Return seconds from asking for a second replica until it answers, and until it is routed to."""
    taken = in_turns({name: lambda side=side: _grown(site, side, asker) for name, side in sides.items()}, times)
    return {name: medians(found) for name, found in taken.items()}


def _grown(site: Site, side: Side, asker: Asker) -> Stages:
    known = set(_pods(site, side.selector))
    began = time.time()
    _scale(site, side, 2)
    new = until(lambda: {name: pod for name, pod in _pods(site, side.selector).items() if name not in known})
    (name,) = new
    asker.ask(_address(site, side.selector, name))
    answered = asker.answered()
    until(lambda: _ready(_pods(site, side.selector)[name]))
    found = {"answers": answered - began, "ready": time.time() - began}
    _scale(site, side, 1)
    until(lambda: any(pod.metadata.deletion_timestamp for pod in _pods(site, side.selector).values()))
    for pod in _pods(site, side.selector).values():
        if pod.metadata.deletion_timestamp:
            site.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
    return found


def canary(site: Site, serving: Any, side: Side, asker: Asker) -> tuple[float, float]:
    """Return seconds from an approved version until a canary of it answers callers: ours, and a Deployment's beside."""
    state = DesiredState(MODEL, 2, version(site, "1"), _candidate(site), 50)
    asker.ask(f"http://{side.address}{PATH}", "2")
    began = time.time()
    serving.apply(state)
    own = asker.answered() - began
    began = time.time()
    site.apps.create_namespaced_deployment(NAMESPACE, deployment("kserve-canary"))
    (pod,) = until(lambda: _pods(site, "app=kserve-canary")).values()
    asker.ask(
        f"http://{until(lambda: _pods(site, 'app=kserve-canary')[pod.metadata.name].status.pod_ip)}:{HTTP_PORT}{PATH}"
    )
    beside = asker.answered() - began
    site.apps.delete_namespaced_deployment("kserve-canary", NAMESPACE)
    return own, beside


def _candidate(site: Site) -> Served:
    """Make a version that nobody has yet: the same model with fewer trees."""
    import lightgbm

    stable = lightgbm.Booster(model_file=str(site.folder / "models" / MODEL / data.FILES[MODEL]))
    fewer = lightgbm.Booster(model_str=stable.model_to_string(num_iteration=190))
    made = site.folder / "models" / "packages" / "candidate"
    shutil.rmtree(made, ignore_errors=True)
    package(fewer, ours.manifest(MODEL), data.rows(data.TRAINING_ROWS, 0), made)
    return Served("2", made, "cycle-2")


def _scale(site: Site, side: Side, replicas: int) -> None:
    site.apps.patch_namespaced_deployment_scale(side.deployment, NAMESPACE, {"spec": {"replicas": replicas}})


def _pods(site: Site, selector: str) -> dict[str, Any]:
    return {pod.metadata.name: pod for pod in site.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items}


def _address(site: Site, selector: str, name: str) -> str:
    return f"http://{until(lambda: _pods(site, selector)[name].status.pod_ip)}:{HTTP_PORT}{PATH}"


def _ready(pod: Any) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())
