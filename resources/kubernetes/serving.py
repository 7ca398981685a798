"""Serving on Kubernetes: inference servers in Deployments, without further operators."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from loopline.resources.kubernetes.endpoint_manifests import (
    GRPC_PORT,
    HTTP_PORT,
    KINDS,
    Manifest,
    manifests,
    object_name,
    route_name,
)
from loopline.resources.kubernetes.pod_serving import PodServing


class KubernetesServing(PodServing):
    """A Deployment of inference servers for each endpoint group, made when its first model is deployed.

    ``endpoint_group`` says which models share servers: ``{team}.{model}`` gives each its own, ``{team}`` each team's,
    a plain word all of them the same. Servers meet whoever deploys in the object store, below ``<store>/<group>``; pods
    read the environment file in the ConfigMap ``environment_map``, with variables of Secrets in ``environment_from``
    (whole ones by name, or ``{name, entries}``, with ``containers`` that alone get them, and ``optional`` ones), and
    ``secrets`` maps Secrets to where their entries are files. They need no variables of the loop's own stores.
    ``namespace`` and ``service_account`` may hold ``{team}``: each team's endpoints run in its own namespace, where
    ``environment_map`` and Secrets are as well.
    One pod is replaced after the other, once the new one has answered for ``min_ready_seconds``: where it does not, the
    others stay. ``replicas`` run, up to ``replicas_max`` while they use more than ``busy_percent`` of their cores. With
    ``http_gateway`` (``namespace/name`` of a Gateway) each model gets an HTTPRoute, for requests to the ``hostnames``
    (to any, if none is named), and ``address`` is that gateway's; without, callers reach the group's Service inside the
    cluster. A version is refused whose package, ``memory_factor`` times its size in each worker, does not fit into
    ``memory_gb`` beside what the group's servers hold. ``pod_template`` adds what a cluster asks of every pod.
    """

    extras = ("kubernetes",)
    _absent: ClassVar[str] = "install the Gateway API's definitions, or leave serving.http_gateway out"

    http_gateway: str = ""
    hostnames: tuple[str, ...] = ()
    min_ready_seconds: int = Field(10, ge=0)

    def _objects_of(self, model: str) -> list[Manifest]:
        return manifests(self, self.group(model), model)

    def _gone_with(self, model: str, *, last: bool) -> list[tuple[str, str]]:
        name = object_name(self.group(model))
        return [
            ("gateway.networking.k8s.io/v1 HTTPRoute", route_name(model)),
            *((kind, name) for kind in KINDS if last),
        ]

    def _inside(self, model: str) -> tuple[str, str]:
        service = f"{object_name(self.group(model))}.{self.namespace}.svc"
        return f"{service}:{HTTP_PORT}", f"{service}:{GRPC_PORT}"
