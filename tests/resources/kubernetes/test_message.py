"""Tasks and answers travel whole, whatever their size, or say that they cannot."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.worker import Failure, Job
from loopline.resources.kubernetes import task_payload as messages
from loopline.resources.kubernetes.task_payload import (
    MOST_MESSAGE_BYTES,
    MOST_TASK_BYTES,
    Answer,
    InLog,
    from_log,
    pack_annotation,
    pack_answer,
    pack_task,
    unpack_annotation,
    unpack_answer,
    unpack_task,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def noise(size, seed=0):
    """Return text that no packing makes smaller."""
    return random.Random(seed).randbytes(size).hex()


@given(VALUES)
def test_a_task_comes_as_it_went(value):
    """Any JSON goes into the Job and comes out again."""
    assert unpack_task(pack_task(Job("a:b", {"value": value}))).args == {"value": value}


@given(VALUES)
def test_an_answer_comes_as_it_went(value):
    """By the termination message, and by the Job's annotation."""
    answer = Answer(json.dumps(value))
    message, lines = pack_answer(answer)
    found = unpack_answer(message)
    assert (found if not lines else from_log(found, lines)) == answer
    assert unpack_annotation(pack_annotation(answer)) == answer


@pytest.mark.parametrize("size", [10, 2_000, 3_200, 20_000, 1_000_000])
def test_a_large_answer_goes_by_the_log(size):
    """The termination message is never longer than the kubelet takes; the log's lines hold what it cannot."""
    answer = Answer(json.dumps(noise(size)))
    message, lines = pack_answer(answer)
    assert len(message) <= MOST_MESSAGE_BYTES
    found = unpack_answer(message)
    assert isinstance(found, InLog) == bool(lines) == (size >= 3_200)
    assert (from_log(found, ["what the task wrote", *lines, "a last word"]) if lines else found) == answer


def test_a_log_that_was_begun_anew_is_no_answer():
    """A lost line is noticed by the digest, not taken for the answer."""
    message, lines = pack_answer(Answer(json.dumps(noise(50_000))))
    assert from_log(unpack_answer(message), lines[1:]) is None
    assert from_log(unpack_answer(message), [*lines[:-1], lines[0]]) is None


def test_a_failure_keeps_its_words():
    """Problem, fix and trace."""
    answer = Answer(Failure("the cup fell", "mend it", "line 1\nline 2"))
    assert unpack_answer(pack_answer(answer)[0]) == answer


def test_what_is_too_large_says_so(monkeypatch):
    """A task beyond an annotation is refused at once; an answer beyond the log fails with what to do."""
    with pytest.raises(InvalidSpec, match="put the data into the lake"):
        pack_task(Job("a:b", {"value": noise(MOST_TASK_BYTES)}))
    monkeypatch.setattr(messages, "MOST_ANSWER_BYTES", 50_000)
    message, lines = pack_answer(Answer(json.dumps(noise(50_000))))
    assert not lines
    assert "return less" in unpack_answer(message).outcome.fix


@pytest.mark.parametrize("message", ["", "Killed", "{}", "[]", "null", '{"answer": "?"}', '{"answer": "eJw="}', "7"])
def test_other_words_are_no_answer(message):
    """What the kernel or a shell left is told apart from an answer."""
    assert unpack_answer(message) is None


def test_arguments_that_are_no_json_are_refused():
    """NaN is named before anything is asked of a cluster."""
    with pytest.raises(InvalidSpec, match="no JSON"):
        pack_task(Job("a:b", {"value": float("nan")}))
