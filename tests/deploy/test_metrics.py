"""The pages that Prometheus scrapes of the light processes: as its own linter wants them."""

from __future__ import annotations

import re
import subprocess

import pytest


@pytest.mark.parametrize("page", ["worker", "workers", "stream"])
def test_promtool_finds_no_fault(pages, page):
    """Names, types, units and help; the comments of a metric stand once, however many workers there are."""
    text = pages[page]
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    helped = re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE)
    assert sorted(helped) == sorted(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert len(set(helped)) == len(helped) > 4
