"""Runs that were beside a code server end when the next one begins, and no others."""

from __future__ import annotations

import dagster as dg
import pytest

from loopline.asset_defs.private.dagster_private import WARM_TAG
from loopline.asset_defs.runs.orphans import end_orphans
from loopline.asset_defs.runs.runs import tags_of_location

HERE = {**tags_of_location("retail"), WARM_TAG: "{}"}


@dg.job
def nothing():
    """Do nothing."""


@pytest.fixture
def instance():
    """Keep runs in memory."""
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.mark.parametrize(
    ("tags", "before", "after"),
    [
        (HERE, "STARTED", "FAILURE"),
        (HERE, "STARTING", "FAILURE"),
        (HERE, "CANCELING", "CANCELED"),
        (HERE, "NOT_STARTED", "NOT_STARTED"),
        (HERE, "SUCCESS", "SUCCESS"),
        ({**HERE, **tags_of_location("mill")}, "STARTED", "STARTED"),
        (tags_of_location("retail"), "STARTED", "STARTED"),  # in a pod of its own
    ],
)
def test_only_what_ran_beside_the_code_server_ends(instance, tags, before, after):
    """By team, by where it ran, and by how far it was; a run that somebody was cancelling is cancelled."""
    run = instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus[before])
    ended = end_orphans(instance, "retail")
    assert instance.get_run_by_id(run.run_id).status.value == after
    assert ended == (before != after)
