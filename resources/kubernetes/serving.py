"""Serving on Kubernetes: inference servers in Deployments, without further operators."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.serving import IMAGES, ServerImages
from loopline.platform_core.errors import CommitConflict
from loopline.resources.kubernetes import server_images
from loopline.resources.kubernetes.by_team import of_its_team
from loopline.resources.kubernetes.endpoint_manifests import (
    GRPC_PORT,
    HTTP_PORT,
    KINDS,
    Manifest,
    labels,
    manifests,
    object_name,
    route_name,
)
from loopline.resources.kubernetes.pod_serving import PodServing
from loopline.resources.local.serving import LocalServing

_ATTEMPTS = 10
_LOOKED_SECONDS = 15.0


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
    others stay. Of another ``image`` one pod answers beside the others, until the loop has judged it. ``replicas`` run,
    up to ``replicas_max`` while they use more than ``busy_percent`` of their cores. With ``http_gateway``
    (``namespace/name`` of a Gateway) each model gets an HTTPRoute, for requests to the ``hostnames`` (to any, if none
    is named), and ``address`` is that gateway's; without, callers reach the group's Service inside the cluster. A
    version is refused whose package, ``memory_factor`` times its size in each worker, does not fit into ``memory_gb``
    beside what the group's servers hold. ``pod_template`` adds what a cluster asks of every pod.
    """

    extras = ("kubernetes",)
    can: ClassVar[frozenset[str]] = LocalServing.can | {IMAGES}
    _absent: ClassVar[str] = "install the Gateway API's definitions, or leave serving.http_gateway out"

    http_gateway: str = ""
    hostnames: tuple[str, ...] = ()
    min_ready_seconds: int = Field(10, ge=0)
    _looked: dict[str, tuple[float, ServerImages]] = PrivateAttr(default_factory=dict)

    @of_its_team
    def images(self, model: str) -> ServerImages | None:
        """Read the group's Deployment; while no image is on trial, no more often than every quarter of a minute."""
        group = self.group(model)
        at, images = self._looked.get(group, (0.0, None))
        if images is not None and time.monotonic() - at < _LOOKED_SECONDS:
            return replace(images, wanted=self.image)
        found = self._deployment(group)
        if found is None:
            return None
        images = server_images.read(found, self.image)
        if not images.candidate:
            self._looked[group] = time.monotonic(), images
            return images
        link, selector = self._linked(), ",".join(f"{name}={value}" for name, value in labels(group).items())
        pods = link.call(link.core.list_namespaced_pod, self.namespace, label_selector=selector).items
        return server_images.seen(images, link, pods, self.observe(model).problem, self.group_states(group).models())

    @of_its_team
    def settle_image(self, model: str, image: str, *, promote: bool) -> None:
        """Let the group's Deployment replace the other pods, or take the new one away."""
        self._put_images(model, lambda images: images.settled(image, promote=promote))

    @of_its_team
    def retry_image(self, model: str) -> None:
        """Take the annotation away that names the image."""
        self._put_images(model, lambda images: replace(images, refused=""))

    def _put_images(self, model: str, change: Callable[[ServerImages], ServerImages]) -> None:
        """Put the group's objects with other images; nothing where these are so already, or nothing runs."""
        for _ in range(_ATTEMPTS):
            found = self._deployment(self.group(model))
            if found is None:
                return
            before = server_images.read(found, self.image)
            after = change(before)
            if after == before or self._put_all(model, after, found["metadata"]["resourceVersion"]):
                return
        raise CommitConflict(f"the Deployment of {model} is changed by others again and again", "ask again")

    def _make(self, model: str) -> None:
        """Put the group's objects; an image that no pod runs yet becomes the candidate."""
        for _ in range(_ATTEMPTS):
            found = self._deployment(self.group(model)) if self.replicas else None
            images = server_images.read(found, self.image).asked() if found else None
            if self._put_all(model, images, found["metadata"]["resourceVersion"] if found else ""):
                return
        raise CommitConflict(f"the Deployment of {model} is changed by others again and again", "ask again")

    def _put_all(self, model: str, images: ServerImages | None, version: str) -> bool:
        """Put every object of a model's group; False where its Deployment is not of that version any more."""
        self._looked.pop(self.group(model), None)
        deployment, *others = manifests(self, self.group(model), model, images)
        if version:
            deployment["metadata"]["resourceVersion"] = version
        return self.put(deployment) and all(self.put(one) for one in others)

    def _deployment(self, group: str) -> Manifest | None:
        return self.get_object("apps/v1", "Deployment", object_name(group))

    def _gone_with(self, model: str, *, last: bool) -> list[tuple[str, str]]:
        name = object_name(self.group(model))
        return [
            ("gateway.networking.k8s.io/v1 HTTPRoute", route_name(model)),
            *((kind, name) for kind in KINDS if last),
        ]

    def _inside(self, model: str) -> tuple[str, str]:
        service = f"{object_name(self.group(model))}.{self.namespace}.svc"
        return f"{service}:{HTTP_PORT}", f"{service}:{GRPC_PORT}"
