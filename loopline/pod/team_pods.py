"""Launcher of runs as pods, by dagster-k8s: needs the extra ``dagster-k8s``."""

from __future__ import annotations

import dagster as dg
from dagster_k8s.client import DagsterK8sUnrecoverableAPIError
from dagster_k8s.job import get_job_name_from_run_id
from dagster_k8s.launcher import K8sRunLauncher

from loopline.asset_defs.private.dagster_bases import (
    CheckRunHealthResult,
    ExecuteRunArgs,
    LaunchRunContext,
    WorkerStatus,
)
from loopline.platform_core.errors import Refused
from loopline.resources.kubernetes.link import api_message

_GONE = "could not be found"
"""How dagster-k8s says that a Job is not there; whatever else it does not know is no answer of the API."""


class TeamPods(K8sRunLauncher):  # type: ignore[misc]
    """dagster-k8s' launcher, whose pods make the instance themselves, of their own environment file.

    Dagster would hand them the settings of who launches, with that one's folders.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        """Make the Job of a run.

        Raises:
            Refused: the API server does not take it, as where a quota is used up; in its own words.
        """
        run = context.dagster_run
        assert run.job_code_origin is not None, "a queued run names its code"
        arguments = ExecuteRunArgs(job_origin=run.job_code_origin, run_id=run.run_id, instance_ref=None)
        job_name: str = get_job_name_from_run_id(run.run_id)
        try:
            self._launch_k8s_job_with_args(job_name, arguments.get_command_args(), run)
        except DagsterK8sUnrecoverableAPIError as error:
            raise Refused(
                f"Kubernetes refuses the pod of this run: {api_message(error.k8s_api_exception)}",
                "raise the quota, or mend dagster.run_pods in the environment file, and launch it again",
            ) from error

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Look at the run's Job; while the API does not answer, nothing is known to be wrong with it."""
        found: CheckRunHealthResult = super().check_run_worker_health(run)
        if found.status == WorkerStatus.UNKNOWN and _GONE not in (found.msg or ""):
            return CheckRunHealthResult(WorkerStatus.RUNNING, found.msg)
        return found
