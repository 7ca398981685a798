"""What a description of the service is taken for."""

from __future__ import annotations

import pytest

from loopline.platform_core.contracts.compute import Billed
from loopline.platform_core.errors import Overloaded, TaskFailed, Transient
from loopline.resources.managed_jobs.service import Phase
from loopline.resources.sagemaker.looks import read


def described(status, secondary, **more):
    """Describe a job."""
    limits = {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 10_800}
    known = {"TrainingJobName": "job", "TrainingJobStatus": status, "SecondaryStatus": secondary}
    return {**known, "StoppingCondition": limits, "HyperParameters": {"loopline-key": "k"}, **more}


@pytest.mark.parametrize(
    ("status", "secondary", "phase"),
    [
        ("InProgress", "Pending", Phase.STARTING),
        ("InProgress", "DownloadingTrainingImage", Phase.STARTING),
        ("InProgress", "Interrupted", Phase.STARTING),
        ("InProgress", "Training", Phase.RUNNING),
        ("InProgress", "Uploading", Phase.RUNNING),
        ("Completed", "Completed", Phase.DONE),
        ("Stopping", "Stopping", Phase.ENDING),
        ("Stopped", "Stopped", Phase.ENDED),
    ],
)
def test_phases(status, secondary, phase):
    """Each status is one; none of these is an error."""
    look = read(described(status, secondary))
    assert (look.phase, look.key, look.error) == (phase, "k", None)


@pytest.mark.parametrize(
    ("secondary", "error", "words"),
    [("MaxRuntimeExceeded", TaskFailed, "after 2 hours"), ("MaxWaitTimeExceeded", Transient, "3 hours were over")],
)
def test_what_was_ended_by_a_limit(secondary, error, words):
    """The limit is named in hours."""
    look = read(described("Stopped", secondary))
    assert isinstance(look.error, error)
    assert words in str(look.error)


@pytest.mark.parametrize(
    ("reason", "error", "words"),
    [
        (
            "AlgorithmError: m:f raised ValueError: no → mend it, exit code: 1",
            TaskFailed,
            "m:f raised ValueError: no → mend it",
        ),
        ("AlgorithmError: , exit code: 137", Transient, "was killed"),
        ("AlgorithmError: , exit code: 2", TaskFailed, "job ended before it had an answer"),
        ("CapacityError: none left", Overloaded, "none left"),
        ("ClientError: insufficient disk space", TaskFailed, "volume_gb"),
    ],
)
def test_failures(reason, error, words):
    """By how the service's reason begins."""
    look = read(described("Failed", "Failed", FailureReason=reason))
    assert type(look.error) is error
    assert words in str(look.error)


def test_what_is_billed():
    """Seconds of one machine, and how many there were; None before the service says it."""
    held = {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 3}}
    assert read(described("Completed", "Completed", BillableTimeInSeconds=61, **held)).billed == Billed(
        61, "ml.m5.large", 3
    )
    assert read(described("InProgress", "Training", **held)).billed is None
