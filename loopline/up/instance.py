"""Creates and migrates Dagster's databases, and fails the runs that a killed supervisor left behind.

Run alone, as a script.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from loopline.asset_defs.runs.orphans import UNDER_WAY
from loopline.up.dagster_home import STAMP

ORPHAN = "whoever ran this run is gone: 'loopline up' ended before it did"


def main() -> None:
    """Initialise the instance of ``DAGSTER_HOME``."""
    with dg.DagsterInstance.get() as instance:
        fail_orphans(instance)
    Path(os.environ["DAGSTER_HOME"]).joinpath(STAMP).write_text(dg.__version__)


def fail_orphans(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed that were under way; their processes ended with the supervisor. Queued runs stay queued."""
    orphans = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))
    for run in orphans:
        instance.report_run_failed(run, ORPHAN)
    return len(orphans)


if __name__ == "__main__":
    main()
