"""Idempotent creation of a task's Job: of all callers with one key, one creates it."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment, Transient
from loopline.resources.kubernetes.job import Manifest
from loopline.resources.kubernetes.link import Link, api_message
from loopline.resources.kubernetes.names import ANSWER
from loopline.resources.kubernetes.pod_status import Wait, complete, failed

_GONE_SECONDS = 120
_PAUSE_SECONDS = 0.2
_QUOTA = "exceeded quota"


def claim(link: Link, namespace: str, wanted: Manifest) -> Any | Wait:
    """Return the Job of a key, made now or found: at work, or complete with its answer. A failed one is made anew.

    Returns:
        The Job, or why it cannot be made now.

    Raises:
        InvalidEnvironment: it can never be made: no such namespace, no right, or the server refuses how it is written.
    """
    from kubernetes.client import ApiException

    until = time.monotonic() + _GONE_SECONDS
    while True:
        try:
            return link.call(link.batch.create_namespaced_job, namespace, wanted)
        except ApiException as error:
            if error.status != HTTPStatus.CONFLICT:
                return _refused(error, namespace)
        found = link.call_or_none(link.batch.read_namespaced_job, wanted["metadata"]["name"], namespace)
        if found is not None and _usable(link, found):
            return found
        if time.monotonic() > until:
            raise Transient(f"an earlier Job of the key in {namespace} does not go away", "look at its finalizers")
        time.sleep(_PAUSE_SECONDS)


def remove(link: Link, job: Any) -> None:
    """Delete a Job with its pods, and not one of the same name that somebody made after it."""
    from kubernetes.client import ApiException

    body = {"propagationPolicy": "Background", "preconditions": {"uid": job.metadata.uid}}
    try:
        link.call_or_none(link.batch.delete_namespaced_job, job.metadata.name, job.metadata.namespace, body=body)
    except ApiException as error:
        if error.status != HTTPStatus.CONFLICT:
            raise


def _usable(link: Link, job: Any) -> bool:
    """Say whether a Job that is there can be waited for; one that cannot is taken away."""
    if job.metadata.deletion_timestamp:
        return False
    lost = complete(job) and ANSWER not in (job.metadata.annotations or {}) and not _pods(link, job)
    if failed(job) is None and not lost:
        return True
    remove(link, job)
    return False


def _pods(link: Link, job: Any) -> list[Any]:
    selector = f"batch.kubernetes.io/controller-uid={job.metadata.uid}"
    return list(link.call(link.core.list_namespaced_pod, job.metadata.namespace, label_selector=selector).items)


def _refused(error: Any, namespace: str) -> Wait:
    said = api_message(error)
    if error.status == HTTPStatus.FORBIDDEN and _QUOTA in said:
        return Wait(said, passing=True)
    raise InvalidEnvironment(
        f"compute: no Job can be made in the namespace {namespace!r}: {said}",
        "make the namespace, and let our account create, get, list, watch and delete Jobs, Pods and their logs there",
    ) from error
