"""The page that describes the prediction log names the columns that there are, in their order, with their types."""

from __future__ import annotations

import re

import pytest

from loopline.platform_core.runtime.prediction_log.log_table import schema
from tests.docs.page import Page

PAGE = Page("how-to/read-the-prediction-log.md")
_ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def described():
    """Return name, type and meaning of each column on the page."""
    return _ROW.findall(PAGE.text)


def test_columns_are_described(described):
    """A column that comes, goes or changes its type breaks this until the page says so."""
    wanted = [(field.name, str(field.type).replace("element:", "item:")) for field in schema()]
    assert [(name, kind.strip()) for name, kind, _ in described] == wanted


def test_each_has_a_meaning(described):
    """No column is only named."""
    assert all(len(meaning.split()) > 2 for _, _, meaning in described)
