"""Schedulability check of a task: refuses what no node, quota or limit of the namespace allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.specs.model import Requirements
from loopline.resources.kubernetes.job import node_selector, resources, tolerations
from loopline.resources.kubernetes.link import Link
from loopline.resources.kubernetes.quantities import number
from loopline.resources.kubernetes.settings import Settings

_PASSING = "node.kubernetes.io/"
"""Taints of this family come and go by themselves: a node that is not ready, or under pressure."""
_KEEPING_OFF = frozenset({"NoSchedule", "NoExecute"})
_NAMED = {"cpu": "cpu", "memory": "memory_gb"}


def require(link: Link, settings: Settings, requirements: Requirements, namespace: str) -> None:
    """Refuse what can never be met; where we may not look at nodes or quotas, those are not asked.

    Raises:
        Unsupported: with what there is, and what to do.
    """
    wanted = {name: number(value) for name, value in _all(resources(settings, requirements)).items()}
    try:
        _by_nodes(link.lately(link.core.list_node), settings, requirements, wanted)
    except Unsupported:  # a node may have come since: nothing is refused by what was true a minute ago
        _by_nodes(link.allowed(link.core.list_node), settings, requirements, wanted)
    in_all = {name: size * requirements.workers for name, size in wanted.items()} | {"pods": requirements.workers}
    _by_quotas(link.allowed(link.core.list_namespaced_resource_quota, namespace), in_all)
    _by_limits(link.allowed(link.core.list_namespaced_limit_range, namespace), wanted)


def _all(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {**found["limits"], **found["requests"]}


def _by_nodes(nodes: list[Any], settings: Settings, requirements: Requirements, wanted: Mapping[str, float]) -> None:
    if not nodes:
        return
    places = [_allocatable(node) for node in nodes if _may_run(node, settings, requirements)]
    if settings.largest_node:
        largest = settings.largest_node
        grown = {
            "cpu": largest.cpu,
            "memory": largest.memory_gb * 1e9,
            settings.gpu_resource: float(largest.gpu),
            "ephemeral-storage": settings.ephemeral_storage_gb * 1e9,
        }
        places.append(grown)
    if any(_holds(place, wanted) for place in places):
        _by_room(places, settings, requirements, wanted)
        return
    if not places:
        selector = node_selector(settings, requirements)
        raise Unsupported(
            f"none of {len(nodes)} nodes may run the task: none has the labels {selector} and only taints we tolerate",
            "label a node, or mend node_selector, gpu_node_selector and tolerations in the environment",
        )
    best = _sizes_text(_best(places, wanted))
    raise Unsupported(
        f"the task needs {_sizes_text(wanted)}, no node has it: of {len(places)} nodes the most is {best}",
        "ask for less, or add a larger node; if nodes come when they are needed, say how large with largest_node",
    )


def _by_room(
    places: list[dict[str, float]], settings: Settings, requirements: Requirements, wanted: Mapping[str, float]
) -> None:
    """Refuse more workers than all nodes hold, empty as they may be; a pool that grows holds any number."""
    room = sum(min(int(place.get(name, 0) // size) for name, size in wanted.items() if size) for place in places)
    if room < requirements.workers and settings.largest_node is None:
        raise Unsupported(
            f"the task needs {requirements.workers} workers with {_sizes_text(wanted)} each, "
            f"{len(places)} nodes hold {room}",
            "ask for fewer or smaller workers, or add nodes; if nodes come when they are needed, set largest_node",
        )


def _allocatable(node: Any) -> dict[str, float]:
    return {name: number(value) for name, value in (node.status.allocatable or {}).items()}


def _may_run(node: Any, settings: Settings, requirements: Requirements) -> bool:
    labels = node.metadata.labels or {}
    if any(labels.get(name) != value for name, value in node_selector(settings, requirements).items()):
        return False
    tolerated = tolerations(settings, requirements)
    return all(_tolerates(taint, tolerated) for taint in node.spec.taints or ())


def _tolerates(taint: Any, tolerated: Iterable[Mapping[str, Any]]) -> bool:
    if taint.effect not in _KEEPING_OFF or taint.key.startswith(_PASSING):
        return True
    return any(
        one.get("key") in (None, taint.key)
        and one.get("effect") in (None, "", taint.effect)
        and (one.get("operator") == "Exists" or one.get("value", "") == (taint.value or ""))
        for one in tolerated
    )


def _holds(place: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return all(place.get(name, 0) >= size for name, size in wanted.items())


def _best(places: list[dict[str, float]], wanted: Mapping[str, float]) -> dict[str, float]:
    return {name: max(place.get(name, 0) for place in places) for name in wanted}


def _by_quotas(quotas: list[Any], wanted: Mapping[str, float]) -> None:
    for quota in quotas:
        if quota.spec.scopes or quota.spec.scope_selector:
            continue  # whether it holds for this pod, only admission knows
        for name, hard in (quota.spec.hard or {}).items():
            size = wanted.get(name.removeprefix("requests.").removeprefix("limits."), 0)
            if size > number(hard) and not name.startswith("limits.cpu"):
                raise Unsupported(
                    f"the task needs {_sizes_text({name: size})}, the quota {quota.metadata.name!r} of the namespace"
                    f" {quota.metadata.namespace} allows {_sizes_text({name: number(hard)})} in all",
                    "ask for less, or have the quota raised",
                )


def _by_limits(ranges: list[Any], wanted: Mapping[str, float]) -> None:
    for found, name, most in _most(ranges):
        if wanted.get(name, 0) > most:
            limit = f"the limit range {found.metadata.name!r} of the namespace {found.metadata.namespace}"
            raise Unsupported(
                f"the task needs {_sizes_text({name: wanted[name]})}, "
                f"{limit} allows {_sizes_text({name: most})} in a pod",
                "ask for less, or have the limit range raised",
            )


def _most(ranges: list[Any]) -> Iterator[tuple[Any, str, float]]:
    for found in ranges:
        for limit in found.spec.limits:
            if limit.type in {"Pod", "Container"}:
                yield from ((found, name, number(most)) for name, most in (limit.max or {}).items())


def _sizes_text(sizes: Mapping[str, float]) -> str:
    return ", ".join(_size_text(name, size) for name, size in sizes.items())


def _size_text(name: str, size: float) -> str:
    last = name.rpartition(".")[2] if name.startswith(("requests.", "limits.")) else name
    if last in {"memory", "ephemeral-storage"}:
        return f"{_NAMED.get(name, name)}={size / 1e9:g}{'' if name in _NAMED else ' GB'}"
    return f"{_NAMED.get(name, name)}={size:g}"
