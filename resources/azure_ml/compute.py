"""Compute on Azure Machine Learning: tasks as command jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.resources.azure_ml.settings import Settings
from loopline.resources.managed_jobs.compute import ManagedCompute

if TYPE_CHECKING:
    from loopline.resources.managed_jobs.machines import Machines
    from loopline.resources.managed_jobs.service import Service


class AzureMLCompute(Settings, ManagedCompute):
    """Runs each task as a command job on the smallest cluster of a workspace whose nodes have what it asks for.

    The image must hold Loopline and the teams' packages. A task lies in a container of Blob storage, which Azure ML
    mounts into the job as a datastore, and its answer and log come back by the same folder: no client or key is needed
    in there.
    """

    extras = ("azure-ml",)

    def _open(self) -> Service:
        from loopline.resources.azure_ml.service import CommandJobs

        return CommandJobs(self, self.name_prefix)

    def _machines(self) -> Machines:
        return self.clusters
