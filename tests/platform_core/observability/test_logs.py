"""Logs as JSON: one object a line, with ids and without anybody's data; plain until asked for."""

from __future__ import annotations

import json
import subprocess
import sys

from loopline.platform_core.foundation.trace_ids import of_cycle

STEP = """
import logging
from pathlib import Path
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation import tracing
from loopline.platform_core.platform import Platform

Platform(Environment("test", Path("e.yaml"), {}, "", None, Path()))
with tracing.span("training set", cycle="shop.late-1", team="shop", model="late") as spanned:
    logging.getLogger("a.library").warning("%s is slow", "disk")
    spanned.note(rows=7)
try:
    with tracing.span("land", team="shop", source="orders"):
        raise ValueError("Ada Lovelace was born in 1815")
except ValueError:
    pass
logging.getLogger("a.library").info("chatter")
logging.getLogger("loopline.portal").info("after")
"""


def lines(**environment):
    """Run the steps in a fresh interpreter and return what it wrote to stderr."""
    done = subprocess.run([sys.executable, "-c", STEP], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_line_a_step_with_its_ids_and_counts():
    """A library's words get the ids of the step in which they fall; a cycle's trace is named though none is kept.

    Of an error type and place say enough: its words may hold a row.
    """
    said = lines(LOOPLINE_LOG="json")
    slow, ended, failed, after = map(json.loads, said)
    assert not any("Ada" in line for line in said)
    assert failed["at"]
    about = {"cycle": "shop.late-1", "team": "shop", "model": "late", "trace": of_cycle("shop.late-1").split("-")[1]}
    assert about.items() <= slow.items()
    assert (slow["level"], slow["logger"], slow["message"]) == ("warning", "a.library", "disk is slow")
    assert about.items() <= ended.items()
    assert (ended["message"], ended["rows"]) == ("training set", 7)
    assert ended["seconds"] >= 0
    assert (failed["message"], failed["source"], failed["error"]) == ("land", "orders", "ValueError")
    assert "cycle" not in failed.keys() | after.keys()
    assert after["message"] == "after"


def test_plain_until_asked_for():
    """Without the variable Python's own log is as it was, and steps say nothing."""
    assert lines() == ["disk is slow"]
