"""Date patterns of the standard are read as the JDK reads them, and contracts that were written before as before."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.contracts.contract_file import Column
from loopline.platform_core.specs.contracts.jdk_pattern import LETTERS, form_of
from loopline.platform_core.specs.contracts.odcs import read_contract
from loopline.resources.polars.typed_columns import typed

DAY = date(2011, 2, 3)
CONTRACT = (
    "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n  - name: c\n"
    "    properties:\n      - {name: at, logicalType: KIND, logicalTypeOptions: {format: FORM}}\n"
)


def instant(hour: int = 1, minute: int = 2, second: int = 3, micros: int = 0) -> datetime:
    """Return an instant of the day."""
    return datetime(2011, 2, 3, hour, minute, second, micros, UTC)


@pytest.mark.parametrize(
    ("pattern", "text", "value"),
    [
        ("yyyy-MM-dd", "2011-02-03", DAY),
        ("M/d/uuuu", "2/3/2011", DAY),
        ("yyyyMMdd", "20110203", DAY),
        ("dd-MMM-yyyy", "03-Feb-2011", DAY),
        ("EEEE, dd MMMM yyyy", "Thursday, 03 February 2011", DAY),
        ("yyyy-DDD", "2011-034", DAY),
        ("dd 'o''clock' MM yyyy", "03 o'clock 02 2011", DAY),
        ("M/d/yyyy H:mm", "2/3/2011 8:26", instant(8, 26, 0)),
        ("M/d/yyyy H:mm", "02/03/2011 08:26", instant(8, 26, 0)),
        ("hh:mm a, dd.MM.yyyy", "01:02 PM, 03.02.2011", instant(13, 2, 0)),
        ("yyyyMMddHHmmss", "20110203010203", instant()),
        ("yyyyMMddHHmmssSSS", "20110203010203123", instant(micros=123_000)),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2011-02-03T03:02:03.123+02:00", instant(micros=123_000)),
        ("yyyy-MM-dd'T'HH:mm:ssX", "2011-02-03T01:02:03Z", instant()),
        ("yyyy-MM-dd'T'HH:mm:ssx", "2011-02-03T03:02:03+02", instant()),
        ("yyyy-MM-dd'T'HH:mm:ssXX", "2011-02-03T03:02:03+0200", instant()),
        ("D/y", "34/2011", DAY),
        ("EEE, dd MMM yyyy HH:mm:ss Z", "Thu, 03 Feb 2011 03:02:03 +0200", instant()),
        ("%d.%m.%Y", "3.02.2011", DAY),
    ],
)
def test_patterns_read_what_the_jdk_reads(pattern: str, text: str, value: date | datetime) -> None:
    """Digits, names, fractions, offsets, quotes; strptime's own go on being read."""
    kind = "timestamp" if isinstance(value, datetime) else "date"
    column = Column("at", "at", kind, format=pattern)  # type: ignore[arg-type]
    assert typed(column, pl.Series("at", [text])).to_list() == [value]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("MM/dd/yyyy HH:mm", "12/1/2009 7:45"),
        ("MM/dd/yyyy HH:mm", "12/01/2009 7:45"),
        ("yyyy-MM-dd", "2011-2-03"),
        ("yyyy-MM-dd", "11-02-03"),
        ("yyyy-MM-dd", "2011-02-31"),
        ("yyyy-MM-dd", "\u0662\u0660\u0661\u0661-02-03"),
        ("yyyy-MM-dd HH:mm", "2011-02-03  03:02"),
        ("yyyy.MM.dd", "2011-02-03"),
        ("yyyy-DDD", "2011-34"),
        ("dd-MMM-yyyy", "03-feb-2011"),
        ("dd-MMM-yyyy", "03-February-2011"),
        ("dd-MMMM-yyyy", "03-Feb-2011"),
        ("EEE dd.MM.yyyy", "Fri 03.02.2011"),
        ("hh:mm a dd.MM.yyyy", "01:02 pm 03.02.2011"),
        ("yyyy-MM-dd HH:mm:ss", "2011-02-03 23:59:60"),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2011-02-03 03:02:03.1234"),
        ("yyyy-MM-dd'T'HH:mmXXX", "2011-02-03T01:02+0200"),
        ("yyyy-MM-dd'T'HH:mmxxx", "2011-02-03T01:02Z"),
        ("yyyy-MM-dd'T'HH:mmZ", "2011-02-03T01:02+02:00"),
    ],
)
def test_what_the_jdk_refuses_is_refused(pattern: str, text: str) -> None:
    """Digits are counted, names have their capitals, and what an offset has between hours and minutes is said."""
    kind = "timestamp" if "H" in pattern or "h" in pattern else "date"
    assert typed(Column("at", "at", kind, format=pattern), pl.Series("at", [text])).to_list() == [None]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "fix"),
    [
        ("dd.MM.yy", "%y"),
        ("YYYY-MM-dd", "write yyyy"),
        ("yyyy-MM-dd[ HH:mm]", "name one form"),
        ("yyyy-MM-dd VV", "XXX"),
        ("yyyy'T", "two"),
        ("strange", "use D"),
        ("dMyyyy", "write dd"),
        ("yMMdd", "write yyyy"),
        ("yyyyDD", "write DDD"),
        ("hh:mm dd.MM.yyyy", "write HH"),
    ],
)
def test_what_cannot_be_read_says_what_to_write(pattern: str, fix: str, tmp_path: Path) -> None:
    """With file and line; nothing is guessed."""
    contract = tmp_path / "c.yaml"
    contract.write_text(CONTRACT.replace("KIND", "date").replace("FORM", f'"{pattern}"'))
    with pytest.raises(InvalidSpec, match=r"c\.yaml:9") as refused:
        read_contract(contract)
    assert fix in refused.value.fix


def test_a_contract_keeps_its_pattern_as_it_is_written(tmp_path: Path) -> None:
    """Messages and comparisons speak of what stands in the file."""
    (tmp_path / "c.yaml").write_text(CONTRACT.replace("KIND", "timestamp").replace("FORM", '"M/d/yyyy H:mm"'))
    assert read_contract(tmp_path / "c.yaml").columns[0].format == "M/d/yyyy H:mm"


def test_every_letter_is_one_that_engines_read() -> None:
    """A table with a run that is not strptime's would turn each row into a letter."""
    assert all(form.strptime.startswith("%") for form in LETTERS.values())
    assert form_of("yyyy.MM") == (r"%Y.%m", r"^[0-9]{4}\.[0-9]{2}$")
