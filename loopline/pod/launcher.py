"""Run launcher: forks a run in its team's code server, or starts a pod for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from loopline.asset_defs.keys import POD_TAG
from loopline.asset_defs.private.dagster_bases import (
    CheckRunHealthResult,
    ConfigurableClassData,
    LaunchRunContext,
    WorkerStatus,
)
from loopline.asset_defs.private.dagster_private import WARM_TAG
from loopline.pod import settings
from loopline.pod.run_pods import RunPods, launcher_settings

if TYPE_CHECKING:
    from loopline.pod.team_pods import TeamPods


class TeamLauncher(dg.DefaultRunLauncher):
    """Dagster's own launcher, but for the runs of teams that the environment file names under ``dagster.run_pods``.

    A team is the code location that a run came from, which no tag of a person's can change. What is said of it is read
    anew each time, so that a team's new image is nobody else's affair.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._made: dict[str, tuple[RunPods, TeamPods]] = {}
        self._alone = threading.Lock()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run where its team's runs go.

        Raises:
            Exception: neither code server nor cluster took it; Dagster writes why on the run.
        """
        run = context.dagster_run
        team = _team(run)
        chosen = _chosen().get(team)
        if chosen is None or not chosen.takes(run.job_name):
            super().launch_run(context)
            return
        self._instance.add_run_tags(run.run_id, {POD_TAG: chosen.namespace})
        self._pods(team, chosen).launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """End a run where it is; says whether it was told."""
        run = self._instance.get_run_by_id(run_id)
        pods = self._of(run) if run else None
        return bool(pods.terminate(run_id)) if pods else bool(super().terminate(run_id))  # type: ignore[no-untyped-call]

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Say yes: a pod that is gone says nothing itself."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Look after a run's pod; a process beside a code server is looked after by that."""
        pods = self._of(run)
        return pods.check_run_worker_health(run) if pods else CheckRunHealthResult(WorkerStatus.RUNNING)

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """Return what Kubernetes says of a run's pod."""
        pods = self._of(run)
        return pods.get_run_worker_debug_info(run, include_container_logs) if pods else None

    def _of(self, run: dg.DagsterRun) -> TeamPods | None:
        """Return who has a run's pod; None for one without, and where the team's runs are pods no more."""
        if POD_TAG not in run.tags or WARM_TAG in run.tags:
            return None
        chosen = _chosen().get(_team(run))
        started_in = {"namespace": run.tags[POD_TAG]}
        return self._pods(_team(run), chosen.model_copy(update=started_in)) if chosen else None

    def _pods(self, team: str, chosen: RunPods) -> TeamPods:
        """Return a team's pods, signed in to the cluster at the first question."""
        from loopline.pod.team_pods import TeamPods

        with self._alone:
            known = self._made.get(team)
            if known is None or known[0] != chosen:
                made: Any = TeamPods(**launcher_settings(team, chosen))
                made.register_instance(self._instance)
                known = self._made[team] = (chosen, made)
            return known[1]


def _chosen() -> Mapping[str, RunPods]:
    return settings.of_environment().run_pods or {}


def _team(run: dg.DagsterRun) -> str:
    origin = run.remote_job_origin
    return origin.location_name if origin else ""
