"""Check of Spark executor pods: what keeps them from being created or started.

Spark tells neither: it asks for pods again and again, and writes why it gets none into its log.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Overloaded
from loopline.resources.pyspark.pods import CONTAINER

if TYPE_CHECKING:
    from loopline.resources.kubernetes.link import Link
    from loopline.resources.pyspark.pods import Pods

VERBS = ("create", "get", "list", "watch", "delete", "deletecollection")
"""What Spark does with pods, from the process that asks."""
_QUOTA = "exceeded quota"


def require(pods: Pods) -> None:
    """Ask for the rights, and for one executor's pod without making it.

    Raises:
        InvalidEnvironment: the account lacks a right, or the cluster refuses such a pod.
        Overloaded: a quota is used up. StoreUnavailable: the API server is away.
    """
    link = _link(pods)
    try:
        if lacking := [verb for verb in VERBS if not _may(link, pods.namespace, verb)]:
            raise InvalidEnvironment(
                f"this process's account may not {', '.join(lacking)} pods in the namespace {pods.namespace!r}",
                f"bind a Role to it there that allows {', '.join(VERBS)} on pods",
            )
        _try(link, pods)
    finally:
        link.close()


def obstacles(pods: Pods, application: str) -> str:
    """Say what keeps an application's pods from starting, each obstacle once; empty: nobody says."""
    from loopline.resources.kubernetes.pod_errors import obstacle

    with suppress(LooplineError):
        link = _link(pods)
        try:
            selector = f"spark-app-selector={application}"
            found = link.allowed(link.core.list_namespaced_pod, pods.namespace, label_selector=selector)
            return "; ".join(dict.fromkeys(filter(None, (obstacle(link, pod) for pod in found))))
        finally:
            link.close()
    return ""


def _may(link: Link, namespace: str, verb: str) -> bool:
    from kubernetes import client

    asked = {"resourceAttributes": {"namespace": namespace, "verb": verb, "resource": "pods"}}
    reviews = client.AuthorizationV1Api(link.api)
    return bool(link.call(reviews.create_self_subject_access_review, {"spec": asked}).status.allowed)


def _try(link: Link, pods: Pods) -> None:
    from kubernetes.client import ApiException

    from loopline.resources.kubernetes.link import api_message

    try:
        link.call(link.core.create_namespaced_pod, pods.namespace, _pod(pods), dry_run="All")
    except ApiException as error:
        problem = f"the cluster takes no executor's pod in {pods.namespace!r}: {api_message(error)}"
        if _QUOTA in problem:
            raise Overloaded(problem, "ask for less (cpu, memory_gb), or raise the quota", delay_seconds=30) from error
        raise InvalidEnvironment(problem, "mend engine.pods, or what the namespace allows") from error


def _pod(pods: Pods) -> dict[str, Any]:
    """Return an executor's pod about as Spark makes it."""
    found = pods.template(None)
    (container,) = found["spec"]["containers"]
    memory = {"memory": f"{pods.memory_mib}Mi"}
    asked = container["resources"]
    container |= {
        "name": CONTAINER,
        "image": pods.image,
        "imagePullPolicy": pods.image_pull_policy,
        "resources": {
            "requests": {**asked["requests"], **memory, "cpu": str(pods.cpu)},
            "limits": {**asked["limits"], **memory},
        },
    }
    found["metadata"]["generateName"] = "loopline-spark-"
    found["spec"] |= {"restartPolicy": "Never", "serviceAccountName": pods.service_account}
    return found


def _link(pods: Pods) -> Link:
    try:
        from loopline.resources.kubernetes.link import Link

        return Link(pods)
    except ImportError as error:
        raise InvalidEnvironment(
            "engine: pods need the client of Kubernetes", "install the extra 'kubernetes'"
        ) from error
