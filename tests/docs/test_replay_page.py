"""The page about replaying one's own history: its programs print what it shows, and its clock is an environment's."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import yaml

from loopline.platform_core.foundation.clock import ReplayClock
from tests.docs.page import Page

PAGE = Page("how-to/replay-your-own-history.md")


def test_the_programs_print_what_the_page_shows(tmp_path):
    """One after the other, as somebody types them."""
    program = "".join(PAGE.blocks("python"))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "".join(PAGE.blocks("text")[1:])


def test_the_file_holds_what_the_page_says(tmp_path):
    """Written by hand it is read as well; while there is none the machine's time counts."""
    clock = ReplayClock(tmp_path / "clock")
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 60
    clock.path.write_text(PAGE.blocks("text")[0])
    assert clock.now() == datetime(2011, 3, 1, 6, tzinfo=UTC)


def test_the_setting_is_an_environment_s(tmp_path, monkeypatch):
    """The line of the page in an environment file gives a platform on that clock."""
    from loopline.platform_core import environment

    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    file = tmp_path / "environment.yaml"
    setting = yaml.safe_load(PAGE.blocks("yaml")[0])
    file.write_text(yaml.safe_dump({"bindings": {}, **setting}))
    assert environment.read(file, only=()).clock == tmp_path / "clock"
