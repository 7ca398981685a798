"""Asset keys, ``[team, name_stage]``, and the tags that runs of the loop carry."""

import dagster as dg

from loopline.platform_core.foundation.names import AssetName

CYCLE_TAG = "loopline/cycle"
MODEL_TAG = "loopline/model"
CAUSE_TAG = "loopline/cause"
SOURCE_TAG = "loopline/source"
WORK_TAG = "loopline/work"
"""Trainings carry it, so that a queue may limit them while rollout steps go through."""
PRIORITY_TAG = "dagster/priority"
"""Of runs that wait, Dagster starts those first that say the larger number; 0 where they say none."""
GATES = "gates"
"""The check of a model that its deployment reads: it blocks nothing in Dagster, where that would be a failed run."""
POD_TAG = "loopline/pod"
"""Runs that are pods of their own carry it: the namespace of the pod."""
STEPS_ARE_PODS = "LOOPLINE_STEPS_ARE_PODS"
"""The variable that a run's pod has where each step of it is to be another one."""

AUDIT_JOB = "loopline_feature_audit"
CYCLE_JOB = "loopline_cycle"
EXPLANATIONS_JOB = "loopline_explanations"
INGEST_JOB = "loopline_ingest"
LAKE_JOB = "loopline_lake_care"
MONITOR_JOB = "loopline_monitor"
PROMOTION_JOB = "loopline_promotion"
ROLLOUT_JOB = "loopline_rollout_step"
SCORECARD_JOB = "loopline_scorecard"
SCORES_JOB = "loopline_scores"
NIGHTLY_JOBS = (EXPLANATIONS_JOB, SCORES_JOB)
"""Jobs that make something of a day of some models."""

TURN = ("training_set", "model", "deployment")
"""The stages that one cycle materializes."""
WATCH = ("predictions", "drift", "quality")
"""The stages that a look at live traffic materializes."""


def key(team: str, stage: str, name: str) -> dg.AssetKey:
    """Name an asset; the team's name comes first so that no two code locations define the same key."""
    return dg.AssetKey(AssetName(team, stage, name).path)
