"""A drift page is drawn where the environment computes; that nothing there draws is an answer."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from loopline.platform_core.errors import ContractBroken, Unsupported
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
    platform = SimpleNamespace(compute=Elsewhere(answer), environment=environment, home=folder)
    return task.drawn(platform, SimpleNamespace(name="shop"), SimpleNamespace(name="returns"), "key")


def test_nothing_that_draws_is_told_with_its_fix(tmp_path: Path) -> None:
    """The alarm's run goes on without a page, which it can only if it hears what was amiss."""
    with pytest.raises(Unsupported, match=r"Evidently is not installed → pip install 'loopline\[evidently\]'"):
        _drawn(WITHOUT, tmp_path)


PAGE = "<html><body>moved</body></html>"


def test_a_page_comes_back_from_a_machine_that_is_gone(tmp_path: Path) -> None:
    """Drawn below another home, it is kept below this one under the same name."""
    there, here = tmp_path / "pod", tmp_path / "home"
    page = there / "drift" / "shop.returns" / "1-2.html"
    page.parent.mkdir(parents=True)
    here.mkdir()
    page.write_text(PAGE)
    answer = task._packed(page, there)
    shutil.rmtree(there)
    found = _drawn(answer, here)
    assert found == here / "drift" / "shop.returns" / "1-2.html"
    assert found.read_text() == PAGE
    assert _drawn(None, here) is None


@pytest.mark.parametrize("name", ["../page.html", "/etc/page.html", "drift/page.sh"])
def test_a_page_is_kept_below_the_home_alone(tmp_path: Path, name: str) -> None:
    """Whatever a task answers, it writes nothing elsewhere."""
    with pytest.raises(ContractBroken):
        _drawn({"name": name, "page": ""}, tmp_path)


def test_a_page_that_no_task_brings_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarm is one all the same."""
    monkeypatch.setattr(task, "MOST_PAGE_BYTES", 10)
    page = tmp_path / "p.html"
    page.write_text(PAGE)
    with pytest.raises(Unsupported, match="bytes compressed, 10 come back"):
        _drawn(task._packed(page, tmp_path), tmp_path)
