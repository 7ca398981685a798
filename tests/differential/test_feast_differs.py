"""Each way in which Feast's history gives another answer than ours, as small as it can be shown."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from benchmarks.peers.histories import History, small
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME


def _without_zone(one: History) -> History:
    naive = one.rows
    for place, name in enumerate(naive.column_names):
        if name in (EVENT_TIME, CREATED_AT):
            naive = naive.set_column(place, name, naive[name].cast(pa.timestamp("us")))
    return replace(one, rows=naive)


LATE_ROW = small("late_row", [(1, 0, 0, 1.0), (1, 4, 20, 2.0)], 5, 20)
LATE_CORRECTION = small("late_correction", [(1, 4, 4, 2.0), (1, 4, 20, 22.0)], 5, 20)
OLDER_FIRST = small("older_first", [(1, 4, 4, 2.0), (1, 4, 5, 22.0)], 10)
NEWER_FIRST = small("newer_first", [(1, 4, 5, 22.0), (1, 4, 4, 2.0)], 10)
NAIVE = _without_zone(small("naive", [(1, 4, 4, 2.0)], 3, 5))
RENAMED = {
    name: replace(one, rows=one.rows.rename_columns(["key", EVENT_TIME, CREATED_AT, name]))
    for name in ("day_y", "rn", "entity_row_id", "event_expire_timestamp")
    for one in [small(f"named_{name}", [(1, 4, 4, 2.0)], 5)]
}


@pytest.fixture(scope="module")
def answers(ask, asked, tmp_path_factory):
    """Ask about each once, as Feast comes."""
    questions = [asked(one) for one in (LATE_ROW, LATE_CORRECTION, NAIVE, *RENAMED.values())]
    questions += [asked(one, created_at="") for one in (OLDER_FIRST, NEWER_FIRST)]
    return ask(tmp_path_factory.mktemp("feast"), questions)


def test_a_late_row_leaks(answers) -> None:
    """An event of 4 h arrived at 20 h: at 5 h nobody could be served it; Feast trains on it, we do not."""
    assert answers.feast(LATE_ROW) == [(2.0,), (2.0,)]
    assert answers.ours(LATE_ROW) == [(1.0,), (2.0,)]


def test_a_late_correction_leaks(answers) -> None:
    """A value of 4 h was corrected at 20 h: at 5 h the wrong one was served, so a model must learn from that."""
    assert answers.feast(LATE_CORRECTION) == [(22.0,), (22.0,)]
    assert answers.ours(LATE_CORRECTION) == [(2.0,), (22.0,)]


def test_without_a_created_column_ties_go_by_their_place_in_the_file(answers) -> None:
    """Feast's ``created_timestamp_column`` may be left out, and then the row that lies first wins."""
    assert [answers.feast(one) for one in (OLDER_FIRST, NEWER_FIRST)] == [[(2.0,)], [(22.0,)]]
    assert [answers.ours(one) for one in (OLDER_FIRST, NEWER_FIRST)] == [[(22.0,)], [(22.0,)]]


def test_times_without_a_zone_are_taken_for_utc(answers) -> None:
    """Feast takes any wall clock for UTC; we refuse, because features hours off look right until they are served."""
    assert answers.feast(NAIVE) == [(None,), (2.0,)]
    with pytest.raises(ContractBroken, match=r"naive.*UTC"):
        answers.ours(NAIVE)


def test_some_names_of_features_cannot_be_asked_for(answers) -> None:
    """Feast drops columns that end in ``_y`` or bear a name of its own, and once gives an expiry time for a value."""
    for name in ("day_y", "rn", "entity_row_id"):
        assert (answers.folder / f"named_{name}_default.error").read_text()
    assert answers.feast(RENAMED["event_expire_timestamp"]) != [(2.0,)]
    assert [answers.ours(one) for one in RENAMED.values()] == [[(2.0,)]] * 4
