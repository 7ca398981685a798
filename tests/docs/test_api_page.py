"""What the page on APIs shows takes rows of a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.resources.http.event_source import HttpEventSource
from loopline.resources.http.feeds import Feed
from tests.docs.page import Page
from tests.resources.http.api import TOKEN, Api, served

PAGE = Page("how-to/take-rows-from-an-api.md")


def test_rows_come_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the token of a store of secrets, from both pages, known when the last row of each was."""
    [shown] = PAGE.blocks("yaml")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/api").write_text(f'{{"token": "{TOKEN}"}}')
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    rows = [{"id": n, "created_at": f"2020-01-0{n}T06:00:00Z"} for n in (1, 2, 3)]
    with served(Api({"/v1/orders": [("", rows[:2]), ("", rows[2:])]})) as api:
        file, bound = tmp_path / "e.yaml", shown.replace("https://api.example", api.url).replace("\n", "\n  ")
        file.write_text(f"bindings:\n  secrets: {{vendor: files, root: {tmp_path}}}\n  {bound}")
        events = environment.read(file, only=("event_source",)).bindings["event_source"]
        assert isinstance(events, HttpEventSource)
        found = events.arrivals("shop/orders")
        assert [arrival.arrived_at.day for arrival in found] == [2, 3]
        assert events.read("shop/orders", found[0])["id"].to_pylist() == ["1", "2"]
        assert "limit=500&cursor=1" in api.asked[1]


def test_every_setting_of_a_feed_is_told() -> None:
    """As in the table, with the default of the vendor's time-out."""
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.text, re.MULTILINE)) == set(Feed.model_fields)
    assert f"`timeout_seconds` ({HttpEventSource.model_fields['timeout_seconds'].default:.0f})" in PAGE.text
