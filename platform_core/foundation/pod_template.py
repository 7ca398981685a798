"""Pod template: what an installation adds to every Kubernetes pod that we create."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Manifest = dict[str, Any]


class PodTemplate(BaseModel):
    """Labels, annotations, affinity, security context, volumes and mounts beside a pod's own.

    A label or annotation of ours stays what it is. ``security_context`` is laid over the pod's, and null takes a field
    out, such as ``runAsUser`` where the cluster chooses it. ``volume_mounts`` are of each container.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    affinity: Mapping[str, Any] = Field(default_factory=dict)
    security_context: Mapping[str, Any] = Field(default_factory=dict)
    volumes: tuple[Mapping[str, Any], ...] = ()
    volume_mounts: tuple[Mapping[str, Any], ...] = ()

    def metadata(self, own: Manifest) -> Manifest:
        """Return a pod's metadata with the further labels and annotations."""
        added = {"labels": self.labels, "annotations": self.annotations}
        return own | {name: {**more, **own.get(name, {})} for name, more in added.items() if more}

    def spec(self, own: Manifest) -> Manifest:
        """Return a pod's spec with what is added to it and to each of its containers."""
        context = {**own.get("securityContext", {}), **self.security_context}
        found = {**own, "securityContext": {name: value for name, value in context.items() if value is not None}}
        if self.affinity:
            found["affinity"] = dict(self.affinity)
        if self.volumes:
            found["volumes"] = [*own.get("volumes", ()), *map(dict, self.volumes)]
        for kind in {"initContainers", "containers"} & set(own) if self.volume_mounts else ():
            found[kind] = [
                {**one, "volumeMounts": [*one.get("volumeMounts", ()), *map(dict, self.volume_mounts)]}
                for one in own[kind]
            ]
        return found
