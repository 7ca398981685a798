"""DORA's measures of models, each expected figure reckoned by hand, on both databases."""

from __future__ import annotations

import pytest

from loopline.scorecard import reading
from loopline.scorecard.delivery import Delivery
from loopline.scorecard.figure import Measure

SHOP, BANK = "shop/churn", "bank/fraud"
WEEK = 7 * 24


def measured(told, hours, scope=""):
    """Compute the figures of a scope as they were so many hours after the first."""
    return Delivery(reading.read(told.ledger), scope).measured(told.at(hours).timestamp())


def test_lead_time_is_from_the_opening_to_the_promotion(told):
    """Of 2, 4, 6 and 20 hours the median is 5, and nine of ten are within 6 + 0.7 * 14 = 15.8."""
    for opened, promoted in ((0, 2), (10, 14), (20, 26), (30, 50)):
        told.went_live(SHOP, opened, promoted)
    found = measured(told, 60)
    assert found["lead_time_median"] == Measure(5.0, 4)
    assert found["lead_time_p90"].value == pytest.approx(15.8)


def test_lead_time_begins_with_the_change_where_it_is_known(told):
    """A commit of five hours before the cycle makes a lead time of eight; one of the future makes none shorter."""
    for team, changed, hours in (("early", 5, 8.0), ("late", 12, 3.0)):
        told.went_live(f"{team}/churn", 10, 13, changed_at=told.at(changed).isoformat())
        assert measured(told, 20, team)["lead_time_median"] == Measure(hours, 1)


def test_a_cycle_that_was_taken_up_again_counts_from_its_first_opening(told):
    """Rejected after an hour and promoted by an override after nine, it took nine."""
    name = told.opened(0, SHOP)
    told.say("cycle.closed", 1, SHOP, cycle=name, state="rejected", hours=1.0)
    told.say("cycle.reopened", 8, SHOP, cycle=name)
    told.started(8, SHOP, name)
    told.promoted(9, SHOP, name, 0)
    assert measured(told, 10)["lead_time_median"] == Measure(9.0, 1)


def test_promotions_a_week_are_a_team_s_since_its_first_entry(told):
    """Three in two weeks are 1.5; a team of half a week counts as one week old; the organisation has all four."""
    for day in (0, 3, 13):
        told.went_live(SHOP, day * 24, day * 24 + 1)
    told.went_live(BANK, 2 * WEEK - 80, 2 * WEEK - 79)
    assert measured(told, 2 * WEEK, "shop")["deployments_a_week"] == Measure(1.5, 3)
    assert measured(told, 2 * WEEK, "bank")["deployments_a_week"] == Measure(1.0, 1)
    assert measured(told, 2 * WEEK)["deployments_a_week"] == Measure(2.0, 4)


def test_promotions_leave_the_window_after_thirteen_weeks(told):
    """The first of two promotions is too old after 13 weeks and two hours: one in 13 weeks is left."""
    told.went_live(SHOP, 0, 1)
    told.went_live(SHOP, 100, 101)
    found = measured(told, 13 * WEEK + 2)["deployments_a_week"]
    assert (found.value, found.count) == (pytest.approx(1 / 13), 1)


def test_a_version_that_callers_met_and_that_was_taken_back_failed(told):
    """Of four rollouts one was taken back at 5 percent, one only in shadow: a quarter failed, half were taken back."""
    first = told.went_live(SHOP, 0, 2)
    told.went_live(SHOP, 10, 12)
    harmful, shadow = told.opened(20, SHOP), told.opened(30, SHOP)
    told.started(20, SHOP, harmful)
    told.advanced(21, SHOP, harmful)
    told.rolled_back(21.5, SHOP, harmful, first)
    told.started(30, SHOP, shadow)
    told.rolled_back(31, SHOP, shadow, first)
    found = measured(told, 40)
    assert found["change_failure_rate"] == Measure(0.25, 4)
    assert found["rollback_rate"] == Measure(0.5, 4)
    assert found["recovery_time_median"] == Measure(30.0, 1)  # minutes from 21:00 to 21:30


def test_a_version_taken_back_after_its_promotion_failed_too(told):
    """A person takes the second version back ten hours after callers first met it; before, nothing had failed."""
    first = told.went_live(SHOP, 0, 2)
    told.went_live(SHOP, 10, 12)
    told.changed(20, SHOP, first, back=True)
    assert measured(told, 19)["change_failure_rate"] == Measure(0.0, 2)
    found = measured(told, 21)
    assert found["change_failure_rate"] == found["rollback_rate"] == Measure(0.5, 2)
    assert found["recovery_time_median"] == Measure(600.0, 1)


def test_restored_is_when_the_endpoint_was_seen_at_the_generation(told):
    """From the decision's to the sensor's entry, by the wall's clock; an endpoint at an older generation is not."""
    first = told.went_live(SHOP, 0, 2)
    told.arrived(2, SHOP)
    name = told.opened(10, SHOP)
    told.started(10, SHOP, name)
    told.advanced(10, SHOP, name)
    told.rolled_back(11, SHOP, name, first)
    told.generation -= 1
    told.arrived(11, SHOP)
    assert measured(told, 12)["restore_time_median"].value is None
    told.generation += 1
    told.arrived(11, SHOP)
    changed, arrived = (
        next(e.recorded_at for e in told.ledger.entries(kinds=[kind], newest_first=True))
        for kind in ("deployment.changed", "deployment.arrived")
    )
    found = measured(told, 12)["restore_time_median"]
    assert (found.value, found.count) == (pytest.approx((arrived - changed).total_seconds()), 1)


def test_recovery_from_drift_is_of_cycles_that_drift_opened(told):
    """Of a cycle by hand (2 h) and one by drift (6 h) only the second counts."""
    told.went_live(SHOP, 0, 2)
    told.went_live(SHOP, 10, 16, reason="drift: 2 of 3 windows")
    assert measured(told, 20)["drift_recovery_median"] == Measure(6.0, 1)


def test_drills_count_for_themselves_only(told):
    """A drill that was taken back is caught; it is neither a rollout that failed nor one of those started."""
    first = told.went_live(SHOP, 0, 2)
    drill = told.opened(10, SHOP, drill={"price": 100.0})
    told.started(10, SHOP, drill)
    told.advanced(10, SHOP, drill)
    assert measured(told, 10.5)["drills_caught"].value is None
    told.rolled_back(11, SHOP, drill, first)
    found = measured(told, 12)
    assert found["drills_caught"] == Measure(1.0, 1)
    assert found["change_failure_rate"] == Measure(0.0, 1)
    assert found["recovery_time_median"].value is None


def test_a_skew_incident_lasts_until_a_check_passes(told):
    """Failed, failed, passed, failed: two incidents; another version's failure is a third."""
    for hours, passed in ((1, False), (2, False), (3, True), (4, False)):
        told.say("skew.checked", hours, SHOP, version="1", passed=passed)
    told.say("skew.checked", 5, SHOP, version="2", passed=False)
    assert measured(told, 2.5)["skew_incidents"] == Measure(1.0, 1)
    assert measured(told, 6)["skew_incidents"] == Measure(3.0, 3)
    assert measured(told, 6, "bank")["skew_incidents"] == Measure(0.0, 0)


def test_nothing_to_compute_from_is_none_with_a_reason(told):
    """A team that has only opened a cycle has no rate and no time, and each says why; counts are nought."""
    told.opened(0, SHOP)
    found = measured(told, 1)
    counted = {"deployments_a_week": 0.0, "skew_incidents": 0.0}
    assert {name: m.value for name, m in found.items() if m.value is not None} == counted
    assert all(m.reason for name, m in found.items() if name not in counted)


def test_a_cycle_opened_before_what_is_read_keeps_its_length(told):
    """Where the opening lies further back than the reader looks, the closing says how many hours it was."""
    told.went_live(SHOP, 0, 30)
    found = Delivery(reading.read(told.ledger, told.at(20)), "").measured(told.at(40).timestamp())
    assert found["lead_time_median"] == Measure(30.0, 1)
