"""Drift pages in the object store of any cloud: other machines read them, and people by links that end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from loopline.platform_core.errors import NotFound
from loopline.resources.evidently.page_store import PageStore


def test_a_page_is_read_elsewhere_and_by_a_link(store_server: Any, cloud: str, tmp_path: Path) -> None:
    """A browser is told what it gets. Cloud Storage's emulator verifies no signature: there no link is shown."""
    place = store_server.place()
    PageStore(place, store_server.options).keep("t.m", "3-1.html", b"<h1>drift</h1>", '{"a": 1}')
    pages = PageStore(place, store_server.options)
    assert pages.names("t.m") == ["3-1.html"]
    assert pages.names("t.other") == []
    page = tmp_path / "elsewhere" / "3-1.html"
    assert pages.fetch("t.m", page)
    assert page.read_bytes() == b"<h1>drift</h1>"
    assert not pages.fetch("t.m", page.with_name("3-2.html"))
    assert [file.name for file in page.parent.iterdir()] == ["3-1.html"]
    with pytest.raises(NotFound, match=r"3-2\.html is not there"):
        pages.link("t.m", "3-2.html", 60)
    if cloud == "gs":
        return
    answer = httpx.get(pages.link("t.m", "3-1.html", 60), timeout=60)
    assert (answer.text, answer.headers["content-type"]) == ("<h1>drift</h1>", "text/html; charset=utf-8")
    assert httpx.get(pages.link("t.m", "3-1.json", 60), timeout=60).json() == {"a": 1}
    assert httpx.get(pages.link("t.m", "3-1.json", 60).replace(".json", ".html"), timeout=60).is_client_error
