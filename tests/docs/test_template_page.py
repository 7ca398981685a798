"""The page on templates, done as a reader does it; a file of its own, so that it goes on beside the tutorial."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.timeout(400)
def test_the_page_does_what_it_says(done: Callable[[str], None]) -> None:
    """From a template to a live model, under the real daemon."""
    done("how-to/begin-from-a-template.md")
