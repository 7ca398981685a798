"""The split is even, sticky and monotone."""

from __future__ import annotations

import pytest

from loopline.platform_core.runtime.answering.split import Split

KEYS = [f"customer {n}" for n in range(20_000)]


@pytest.mark.parametrize("percent", [0, 1, 5, 25, 50, 99, 100])
def test_the_share_is_the_percent(percent):
    """Of many keys the percent goes to the candidate; none at 0, all at 100."""
    split = Split("retail.cancellations", percent)
    share = sum(split.takes(key) for key in KEYS) / len(KEYS)
    assert share == pytest.approx(percent / 100, abs=0 if percent in (0, 100) else 0.01)


def test_more_percent_only_adds_keys():
    """Who met the candidate at a smaller percent meets it at every larger one."""
    taken: set[str] = set()
    for percent in range(0, 101, 5):
        now = {key for key in KEYS[:2000] if Split("m", percent).takes(key)}
        assert taken <= now
        taken = now


def test_models_have_splits_of_their_own():
    """A customer is not the guinea pig of every model."""
    one, other = Split("a", 50), Split("b", 50)
    both = sum(one.takes(key) and other.takes(key) for key in KEYS) / len(KEYS)
    assert both == pytest.approx(0.25, abs=0.02)


def test_the_split_never_changes():
    """A release that moved keys would reshuffle customers in the middle of a rollout."""
    split = Split("retail.cancellations", 25)
    assert [n for n in range(30) if split.takes(str(n))] == [7, 8, 9, 24, 27]
