"""The drift report's kit passes the fake, and catches a report that breaks any one promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loopline.platform_core.testing.drift_report import DriftReportKit
from loopline.platform_core.testing.fakes.drift_report import InMemoryDriftReport
from loopline.platform_core.testing.mutants import assert_catches


class TestFake(DriftReportKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def report(self) -> InMemoryDriftReport:
        """A fresh fake."""
        return InMemoryDriftReport()


class FetchesAScript(InMemoryDriftReport):
    """Breaks promise 1: the page needs the network."""

    def counted(self, table):
        """Refer to a script elsewhere."""
        return super().counted(table) + '<script src="https://cdn.example/plot.js"></script>'


class ForgetsAColumn(InMemoryDriftReport):
    """Breaks promise 1: a column is not on the page."""

    def line(self, name, score):
        """Skip the category."""
        return "" if name == "country" else super().line(name, score)


class LeavesAFile(InMemoryDriftReport):
    """Breaks promise 1: the page is more than one file."""

    def render(self, reference, current, page, title):
        """Put a script beside the page."""
        page.with_name("plot.js").write_text("")
        return super().render(reference, current, page, title)


class LooksAtAll(InMemoryDriftReport):
    """Breaks promise 2: says that it sampled and did not."""

    def sampled(self, table):
        """Take everything."""
        return table


class KeepsQuietAboutSampling(InMemoryDriftReport):
    """Breaks promise 2: the page does not say how many rows there were."""

    def counted(self, table):
        """Say half of it."""
        return f"{min(self.max_rows, table.num_rows)} rows"


class SamplesAtRandom(InMemoryDriftReport):
    """Breaks promise 3: another sample each time."""

    def sampled(self, table):
        """Roll the dice anew."""
        return table.take(np.random.default_rng().permutation(table.num_rows)[: self.max_rows])


class StumblesOverNulls(InMemoryDriftReport):
    """Breaks promise 4: a column without values stops the page."""

    def score(self, reference, current, name):
        """Insist on values."""
        score = super().score(reference, current, name)
        assert score is not None
        return score


class ForgetsVectors(InMemoryDriftReport):
    """Breaks promise 4: a column of vectors is not on the page."""

    def line(self, name, score):
        """Skip it."""
        return "" if name == "meaning" else super().line(name, score)


class KeepsTwice(InMemoryDriftReport):
    """Breaks promise 5: a title that is drawn again is kept again."""

    def keep(self, title):
        """Write another file."""
        super().keep(title)
        (Path(self.workspace) / f"again {title.partition('<')[0].replace('/', ' ')}").touch()


class KeepsNothing(InMemoryDriftReport):
    """Breaks promise 5: says that nothing is there."""

    def titles(self):
        """Name nothing."""
        return []


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (FetchesAScript, "test_1_one_page_without_network_names_every_column"),
        (ForgetsAColumn, "test_1_one_page_without_network_names_every_column"),
        (LeavesAFile, "test_1_one_page_without_network_names_every_column"),
        (LooksAtAll, "test_2_at_most_max_rows_of_each_side"),
        (KeepsQuietAboutSampling, "test_2_at_most_max_rows_of_each_side"),
        (SamplesAtRandom, "test_3_same_rows_same_verdicts"),
        (StumblesOverNulls, "test_4_null_or_missing_columns_do_not_stop_the_page"),
        (ForgetsVectors, "test_4_texts_and_vectors_do_not_stop_the_page"),
        (KeepsTwice, "test_5_what_was_drawn_is_kept_once"),
        (KeepsNothing, "test_5_what_was_drawn_is_kept_once"),
    ],
)
def test_the_kit_catches(mutant: type[InMemoryDriftReport], test: str, tmp_path: Path) -> None:
    """Each promise's test fails on a report that breaks that promise."""
    assert_catches(DriftReportKit, test, report=mutant(), tmp_path=tmp_path)
