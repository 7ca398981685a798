"""A drift page is drawn in a process of its own; that nothing there draws is told with its fix."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from loopline.platform_core.errors import TaskFailed, Transient, Unsupported
from loopline.platform_core.monitor.drift import task


def without(**_: str) -> dict[str, str]:
    """Draw on a machine where nothing that draws is installed."""
    return {"problem": "Evidently is not installed", "fix": "pip install 'loopline[evidently]'"}


def page(environment: str, team: str, model: str) -> dict[str, str]:
    """Draw a page that names what was asked for, and the process that drew it."""
    drawn = Path(environment).with_name(f"{team}.{model}-{os.getpid()}.html")
    drawn.write_text("moved")
    return {"page": str(drawn)}


def nothing(**_: str) -> dict[str, str]:
    """Find no window that was judged."""
    return {"page": ""}


def killed(**_: str) -> dict[str, str]:
    """Be killed, as for memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def broken(**_: str) -> dict[str, str]:
    """Raise what nobody expects."""
    raise ZeroDivisionError


def drawn(folder: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> Path | None:
    """Have a page drawn by one of the functions above."""
    monkeypatch.setattr(task, "DRAW", f"{__name__}:{by}")
    platform = SimpleNamespace(environment=SimpleNamespace(path=folder / "laptop.yaml"))
    return task.drawn(platform, SimpleNamespace(name="shop"), SimpleNamespace(name="returns"))


def test_a_page_is_drawn_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies where that process says; none while no window was judged."""
    found = drawn(tmp_path, monkeypatch, "page")
    assert found.read_text() == "moved"
    assert found.name.startswith("shop.returns-")
    assert str(os.getpid()) not in found.name
    assert drawn(tmp_path, monkeypatch, "nothing") is None


@pytest.mark.parametrize(
    ("by", "error", "said"),
    [
        ("without", Unsupported, r"Evidently is not installed → pip install 'loopline\[evidently\]'"),
        ("killed", Transient, "was killed before it had an answer"),
        ("broken", TaskFailed, "raised ZeroDivisionError"),
    ],
)
def test_what_hinders_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, error: type[Exception], said: str
) -> None:
    """The alarm's run goes on without a page, which it can only if it hears what was amiss."""
    with pytest.raises(error, match=said):
        drawn(tmp_path, monkeypatch, by)
