"""A drift page is drawn where the environment computes; that nothing there draws is an answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.monitor import task

WITHOUT = {"problem": "Evidently is not installed", "fix": "pip install 'loopline[evidently]'"}


@dataclass
class Elsewhere:
    """A compute whose process has answered."""

    answer: object

    def run(self, *_: object) -> object:
        return self.answer


def _drawn(answer: object, folder: Path) -> Path | None:
    (folder / "laptop.yaml").write_text("name: laptop")
    environment = SimpleNamespace(path=folder / "laptop.yaml")
    platform = SimpleNamespace(compute=Elsewhere(answer), environment=environment)
    return task.drawn(platform, SimpleNamespace(name="shop"), SimpleNamespace(name="returns"), "key")


def test_nothing_that_draws_is_told_with_its_fix(tmp_path: Path) -> None:
    """The alarm's run goes on without a page, which it can only if it hears what was amiss."""
    with pytest.raises(Unsupported, match=r"Evidently is not installed → pip install 'loopline\[evidently\]'"):
        _drawn(WITHOUT, tmp_path)


def test_a_page_or_none(tmp_path: Path) -> None:
    """A path comes back, or nothing where no window was judged."""
    assert _drawn("/home/page.html", tmp_path) == Path("/home/page.html")
    assert _drawn(None, tmp_path) is None
