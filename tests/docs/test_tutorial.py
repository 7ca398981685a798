"""The tutorial, done as a reader does it: every file written, every command typed, every output compared."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.timeout(400)
def test_the_page_does_what_it_says(done: Callable[[str], None]) -> None:
    """From an empty folder to a live model, under the real daemon."""
    done("tutorials/your-first-team.md")
