"""What Dagster shows of versions whose labels are described by different classes."""

from __future__ import annotations

from loopline.asset_defs.monitoring import _quality_metadata
from loopline.platform_core.monitor.quality.quality_history import LiveQuality
from loopline.platform_core.monitor.quality.version_quality import VersionQuality


def test_versions_have_the_same_columns() -> None:
    """A version that never saw a class has none of it; Dagster takes no table of several shapes."""
    one = VersionQuality("1", 9, 9, {"accuracy": 0.5}, {"classes": 1, "class bag": 9})
    other = VersionQuality("2", 9, 9, {"accuracy": 0.5}, {"classes": 1, "class toy": 9})
    table = _quality_metadata(LiveQuality([one, other], 0))["versions"]
    assert [(row.data["class bag"], row.data["class toy"]) for row in table.records] == [("9", ""), ("", "9")]
