"""Two runs are compared by what they hold."""

from __future__ import annotations

import json
from pathlib import Path

from loopline.demo.likeness import Asked, differing


def test_what_only_one_run_has_or_has_otherwise_is_named(tmp_path: Path) -> None:
    """A hash that is another one, is missing, or came to be, is a difference; the same ones are none."""
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"rows": "a", "features": "b", "gone": "c"}))
    assert differing({"rows": "a", "features": "x", "new": "d"}, other) == ["features", "gone", "new"]
    assert differing({"rows": "a", "features": "b", "gone": "c"}, other) == []


def test_nothing_is_hashed_unless_asked_for(tmp_path: Path) -> None:
    """The laptop's demo stays as quick as it is."""
    assert not Asked()
    assert Asked(write=tmp_path)
    assert Asked(like=tmp_path)
