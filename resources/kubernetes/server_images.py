"""Container images of a group's Deployment: which is on trial and which was refused, in annotations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.serving import ServerImages
from loopline.resources.kubernetes.pod_errors import obstacle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loopline.resources.kubernetes.link import Link

Manifest = dict[str, Any]
BEFORE = "loopline.dev/image-before"
REFUSED = "loopline.dev/image-refused"
TRIAL_SECONDS = 30 * 24 * 3600
"""How long a pod of a candidate image must have answered until the next one is replaced: longer than any trial."""


def read(deployment: Mapping[str, Any], wanted: str) -> ServerImages:
    """Return the images of a group's Deployment."""
    said = deployment["metadata"].get("annotations") or {}
    runs = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
    before, refused = str(said.get(BEFORE, "")), str(said.get(REFUSED, ""))
    return ServerImages(wanted, before or runs, runs if before else "", refused)


def laid(deployment: Manifest, images: ServerImages) -> Manifest:
    """Write down in a Deployment which images it is about.

    A candidate's pod comes beside the others, and the rollout goes no further by itself: Kubernetes replaces the next
    pod when the new one has been ready for ``minReadySeconds``.
    """
    said = {BEFORE: images.stable if images.candidate else "", REFUSED: images.refused}
    deployment["metadata"]["annotations"] = {name: image for name, image in said.items() if image}
    if images.candidate:
        deployment["spec"] |= {"minReadySeconds": TRIAL_SECONDS, "progressDeadlineSeconds": TRIAL_SECONDS + 1}
    return deployment


def seen(images: ServerImages, link: Link, pods: Iterable[Any], trouble: str, models: set[str]) -> ServerImages:
    """Add whether a pod of the candidate answers, else what keeps it from it; ``trouble`` is what servers say.

    One whose server ended and was started again does not count: it may answer now, and end again.
    """
    own = [pod for pod in pods if pod.spec.containers[0].image == images.candidate]
    restarts = next((said for pod in own if (said := _restarts(pod))), "")
    ready = any(_is_ready(pod) for pod in own) and not restarts
    waits = (f"{pod.metadata.name} does not start: {said}" for pod in own if (said := obstacle(link, pod)))
    problem = "" if ready else restarts or next(waits, trouble)
    return replace(images, ready=ready, problem=problem, models=frozenset(models))


def _restarts(pod: Any) -> str:
    """Say how often the server of a pod was started again, and why it ended last; "" for never."""
    status = next((one for one in pod.status.container_statuses or () if one.name == "server"), None)
    if status is None or not status.restart_count:
        return ""
    ended = status.last_state.terminated
    why = f" with {ended.reason} (exit code {ended.exit_code})" if ended else ""
    return f"the server of {pod.metadata.name} ended{why}, and was started again {status.restart_count} times"


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or ()
    return not pod.metadata.deletion_timestamp and any(c.type == "Ready" and c.status == "True" for c in conditions)
