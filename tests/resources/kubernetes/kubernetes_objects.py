"""Objects of Kubernetes' client, from what the API server's JSON would be."""

from __future__ import annotations

import json
from inspect import signature
from types import SimpleNamespace

from kubernetes import client


def read(kind, document):
    """Read JSON as the client reads an answer; newer clients want the kind of content too."""
    read_answer = client.ApiClient().deserialize
    more = ("application/json",) if "content_type" in signature(read_answer).parameters else ()
    answer, text = SimpleNamespace(data=json.dumps(document)), json.dumps(document)
    return read_answer(text if more else answer, f"V1{kind}", *more)


def pod(status, *, name="train-abc", deleted=False, spec=None):
    """Return a pod with a status."""
    metadata = {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    return read("Pod", {"metadata": metadata, "spec": spec or _SPEC, "status": status})


def container(**state):
    """Return the part of a pod's status that tells how its container is."""
    return [{"name": "task", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}]


_SPEC = {"containers": [{"name": "task", "image": "example/team:7"}]}
