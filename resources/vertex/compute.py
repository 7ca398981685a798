"""Compute on Google Cloud's Vertex AI: tasks as custom jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.resources.managed_jobs.compute import ManagedCompute
from loopline.resources.vertex.settings import Settings

if TYPE_CHECKING:
    from loopline.resources.managed_jobs.machines import Machines
    from loopline.resources.managed_jobs.service import Service


class VertexCompute(Settings, ManagedCompute):
    """Runs each task as a custom job on the smallest machine type that has what it asks for.

    The image must hold Loopline and the teams' packages. A task lies in the bucket, which Vertex AI mounts into the
    container, and its answer and log come back by the same folder: no client or key is needed in there.
    """

    extras = ("vertex",)

    def _open(self) -> Service:
        from loopline.resources.vertex.service import CustomJobs

        return CustomJobs(self, self.name_prefix)

    def _machines(self) -> Machines:
        return self.machine_types
