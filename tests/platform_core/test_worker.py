"""The worker: a job file in, an answer file out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core import worker
from loopline.platform_core.errors import InvalidSpec, Refused, TaskFailed, Transient


def refuse() -> None:
    """Raise one of the platform's own errors."""
    raise Refused("not now", "wait for the cool-down")


def nowhere() -> float:
    """Return what JSON has no word for."""
    return float("nan")


HERE = __name__


@given(st.text(), st.text())
def test_two_keys_never_share_a_file(one: str, other: str) -> None:
    """Any text is a key; its file name is one level deep and its own."""
    names = worker.file_name(one), worker.file_name(other)
    assert (names[0] == names[1]) == (one == other)
    assert "/" not in names[0]
    assert names[0] not in {"", ".", ".."}


def test_answer_is_written_beside_the_job(tmp_path: Path) -> None:
    """A folder with a job gets a result; nothing half-written stays."""
    worker.assign(tmp_path, "os.path:join", {"a": "x"})
    worker.main(tmp_path)
    assert worker.answer(tmp_path) == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == [worker.JOB, worker.RESULT]


def test_error_keeps_the_platforms_own_words(tmp_path: Path) -> None:
    """Problem and fix of an error of ours reach the caller; a new job forgets the old error."""
    worker.assign(tmp_path, f"{HERE}:refuse", {})
    worker.main(tmp_path)
    with pytest.raises(TaskFailed, match="Refused: not now → wait for the cool-down"):
        worker.answer(tmp_path)
    worker.assign(tmp_path, f"{HERE}:refuse", {})
    with pytest.raises(Transient, match="was killed"):
        worker.answer(tmp_path)


def test_result_that_is_no_json_is_a_failure() -> None:
    """NaN is not JSON: another machine might not read it."""
    with pytest.raises(TaskFailed, match="not JSON compliant"):
        worker.call(f"{HERE}:nowhere", {})


@pytest.mark.parametrize("task", ["", "os", "os:", ":getenv", "os:no_such", "os:sep"])
def test_task_must_name_a_function(task: str) -> None:
    """Anything but package.module:function is refused."""
    with pytest.raises(InvalidSpec, match="no function"):
        worker.resolve(task)


def test_job_survives_strange_arguments(tmp_path: Path) -> None:
    """Text of any alphabet and nested values arrive as they were."""
    given = {"ä": ["→", {"n": None}], "big": 2**60}
    worker.assign(tmp_path, "json:dumps", {"obj": given})
    worker.main(tmp_path)
    assert json.loads(worker.answer(tmp_path)) == given
