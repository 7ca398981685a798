"""Compute on Amazon SageMaker AI: tasks as training jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.resources.managed_jobs.compute import ManagedCompute
from loopline.resources.sagemaker.settings import Settings

if TYPE_CHECKING:
    from loopline.resources.managed_jobs.machines import Machines
    from loopline.resources.managed_jobs.service import Service


class SageMakerCompute(Settings, ManagedCompute):
    """Runs each task as a training job on the smallest instance type that has what it asks for.

    The image must hold Loopline and the teams' packages. A task lies in the bucket, where SageMaker takes it from, and
    its answer comes back by the folder that SageMaker takes away when the container ends: neither needs credentials
    in the container.
    """

    extras = ("aws",)

    def _open(self) -> Service:
        from loopline.resources.sagemaker.service import TrainingJobs

        return TrainingJobs(self)

    def _machines(self) -> Machines:
        return self.instance_types
