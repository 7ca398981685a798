"""The drift report's kit passes the fake, and catches a report that breaks any one promise."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from loopline.platform_core.testing.drift_report import DriftReportKit
from loopline.platform_core.testing.fakes.drift_report import InMemoryDriftReport
from loopline.platform_core.testing.parts.mutants import assert_catches
from tests.platform_core.testing.mutant import mutant, pairs


class TestFake(DriftReportKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def report(self) -> InMemoryDriftReport:
        return InMemoryDriftReport()


def leave_a_file(up, _, reference, current, page, title):
    """Put a script beside the page."""
    page.with_name("plot.js").write_text("")
    return up.render(reference, current, page, title)


def without(column):
    """Make a report on which a column is not named."""
    return {"line": lambda up, _, name, score: "" if name == column else up.line(name, score)}


def insist(up, _, *given):
    """Insist on values."""
    score = up.score(*given)
    assert score is not None
    return score


def keep_twice(up, report, title):
    """Write another file."""
    up.keep(title)
    (Path(report.workspace) / f"again {title.partition('<')[0].replace('/', ' ')}").touch()


def at_random(_, report, table):
    """Roll the dice anew."""
    return table.take(np.random.default_rng().permutation(table.num_rows)[: report.max_rows])


made = partial(mutant, InMemoryDriftReport)
CAUGHT = {
    "test_1_one_page_without_network_names_every_column": [
        # the page needs the network
        made(
            "FetchesAScript",
            counted=lambda up, _, rows: up.counted(rows) + '<script src="https://cdn.example/plot.js"></script>',
        ),
        made("ForgetsAColumn", **without("country")),
        # the page is more than one file
        made("LeavesAFile", render=leave_a_file),
    ],
    "test_2_at_most_max_rows_of_each_side": [
        # says that it sampled and did not
        made("LooksAtAll", sampled=lambda _up, _, table: table),
        # the page does not say how many rows there were
        made("KeepsQuietAboutSampling", counted=lambda _, own, table: f"{min(own.max_rows, table.num_rows)} rows"),
    ],
    # another sample each time
    "test_3_same_rows_same_verdicts": [made("SamplesAtRandom", sampled=at_random)],
    # a column without values stops the page
    "test_4_null_or_missing_columns_do_not_stop_the_page": [made("StumblesOverNulls", score=insist)],
    "test_4_texts_and_vectors_do_not_stop_the_page": [made("ForgetsVectors", **without("meaning"))],
    "test_5_what_was_drawn_is_kept_once": [
        # a title that is drawn again is kept again
        made("KeepsTwice", keep=keep_twice),
        # says that nothing is there
        made("KeepsNothing", titles=lambda *_: []),
    ],
}


@pytest.mark.parametrize(("mutant", "test"), pairs(CAUGHT))
def test_the_kit_catches(mutant: type[InMemoryDriftReport], test: str, tmp_path: Path) -> None:
    """Each promise's test fails on a report that breaks that promise."""
    assert_catches(DriftReportKit, test, report=mutant(), tmp_path=tmp_path)
