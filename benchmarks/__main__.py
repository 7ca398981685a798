"""``python -m benchmarks [name ...]`` measures everything, or what is named, and writes it into ``docs/benchmarks.md``.

What was not measured stays on the page as it was; ``--quick`` figures are printed and not written.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from benchmarks import apart, audit, contract_checks, dagster_guard, imports, keys, page, policies, sign_in, signing
from benchmarks.canary import compare as canary
from benchmarks.cloud_stores import compare as cloud_stores
from benchmarks.cluster import compare as cluster
from benchmarks.cluster import turn
from benchmarks.drift import alarms as drift_alarms
from benchmarks.drift import blocks as drift_blocks
from benchmarks.drift import compare as drift
from benchmarks.estimated_quality import compare as estimated_quality
from benchmarks.explain import compare as explain
from benchmarks.feature_server import compare as feature_server
from benchmarks.forecasts import compare as forecasts
from benchmarks.graphs import compare as graphs
from benchmarks.growth import compare as growth
from benchmarks.idle import compare as idle
from benchmarks.ingestion import compare as ingestion
from benchmarks.judges import compare as judges
from benchmarks.kinds import compare as kinds
from benchmarks.lake_on_s3 import compare as lake_on_s3
from benchmarks.load import compare as load
from benchmarks.managed_jobs import compare as managed_jobs
from benchmarks.materialization import compare as materialization
from benchmarks.online_reads import compare as online_reads
from benchmarks.page import Section
from benchmarks.point_in_time import compare as point_in_time
from benchmarks.portal import compare as portal
from benchmarks.portal import lighthouse
from benchmarks.scale import compare as scale
from benchmarks.scorecard import compare as scorecard
from benchmarks.serving import compare as serving
from benchmarks.serving import shadow
from benchmarks.spark import compare as spark
from benchmarks.streaming import compare as streaming
from benchmarks.turns import ROOT

ALL: dict[str, Callable[[bool], Section]] = {
    "load": load.compare,
    "canary": canary.compare,
    "cluster": cluster.compare,
    "cluster_turn": turn.compare,
    "scale": scale.compare,
    "imports": imports.compare,
    "idle": idle.compare,
    "audit": audit.compare,
    "contract_checks": contract_checks.compare,
    "apart": apart.compare,
    "ingestion": ingestion.compare,
    "lake_on_s3": lake_on_s3.compare,
    "point_in_time": point_in_time.compare,
    "growth": growth.compare,
    "graphs": graphs.compare,
    "online_reads": online_reads.compare,
    "cloud_stores": cloud_stores.compare,
    "managed_jobs": managed_jobs.compare,
    "materialization": materialization.compare,
    "feature_server": feature_server.compare,
    "serving": serving.compare,
    "keys": keys.compare,
    "kinds": kinds.compare,
    "forecasts": forecasts.compare,
    "shadow": shadow.compare,
    "policies": policies.compare,
    "signing": signing.compare,
    "dagster_guard": dagster_guard.compare,
    "sign_in": sign_in.compare,
    "portal": portal.compare,
    "lighthouse": lighthouse.compare,
    "judges": judges.compare,
    "drift": drift.compare,
    "drift_alarms": drift_alarms.compare,
    "drift_blocks": drift_blocks.compare,
    "scorecard": scorecard.compare,
    "estimated_quality": estimated_quality.compare,
    "explain": explain.compare,
    "spark": spark.compare,
    "streaming": streaming.compare,
}


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(ALL)}; none means all")
    parser.add_argument("--quick", action="store_true", help="fewer times and sizes, to see that it runs")
    asked = parser.parse_args()
    sections = [_measured(name, asked.quick) for name in asked.names or ALL]
    file = ROOT / "docs" / "benchmarks.md"
    if not asked.quick:
        file.write_text(page.write(sections, file.read_text() if file.exists() else ""))
    print(page.machine())
    return 0


def _measured(name: str, quick: bool) -> Section:
    began = time.monotonic()
    print(f"{name}: measuring", file=sys.stderr)
    section = ALL[name](quick)
    print(f"{section}\n({time.monotonic() - began:.0f} s)\n", flush=True)
    return section


if __name__ == "__main__":
    sys.exit(main())
