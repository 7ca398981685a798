"""Errors that keep a serving pod from starting, from scheduler, containers and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.resources.kubernetes.pod_status import event_time, unscheduled

if TYPE_CHECKING:
    from loopline.resources.kubernetes.link import Link

_STARTING = frozenset({"PodInitializing", "ContainerCreating"})
_AGAIN = "CrashLoopBackOff"
_OF_PROBES = "Unhealthy"
"""What the kubelet tells of a container that is not ready yet: nothing is wrong with it so far."""


def obstacle(link: Link, pod: Any) -> str:
    """Ask the scheduler's condition, then each container's state, then the pod's warnings; empty: nobody knows."""
    if words := unscheduled(pod):
        return words
    statuses = [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]
    waiting = [status for status in statuses if status.state.waiting and status.state.waiting.reason not in _STARTING]
    if waiting:
        return _of_container(pod, waiting[0])
    return "" if all(status.ready for status in statuses) and statuses else _warning(link, pod)


def _of_container(pod: Any, status: Any) -> str:
    said = status.state.waiting
    if said.reason == _AGAIN:
        look = f"kubectl logs -p {pod.metadata.name} -c {status.name}"
        return f"{status.name} ended {status.restart_count} times → see '{look}'"
    return f"{status.name}: {said.reason}: {said.message or status.image}"


def _warning(link: Link, pod: Any) -> str:
    """Return the newest warning about a pod, such as a volume that cannot be mounted."""
    about = f"involvedObject.uid={pod.metadata.uid},type=Warning"
    events = link.allowed(link.core.list_namespaced_event, pod.metadata.namespace, field_selector=about)
    told = [event for event in events if event.reason != _OF_PROBES]
    newest = max(told, key=event_time, default=None)
    return f"{newest.reason}: {newest.message}" if newest else ""
