"""One load in one process: ``python -m benchmarks.load.once ours 100`` prints what it took, as JSON.

The work is what a code server does before it can answer: define, resolve, and serialise the snapshot with all jobs.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from time import process_time

import dagster as dg
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

from benchmarks.measured import memory_mb


def main(side: str, models: int) -> None:
    """Load once and print seconds by phase, the snapshot's size, and the process's largest memory."""
    define = _definitions_of(side)
    gc.collect()  # what imports left behind is theirs
    began = process_time()
    definitions = define(models)
    defined = process_time()
    definitions.get_repository_def().load_all_definitions()
    resolved = process_time()
    snapshot = serialised(definitions)
    done = process_time()
    graph = definitions.get_repository_def().asset_graph
    loaded = {
        "assets": len(graph.materializable_asset_keys),
        "checks": len(graph.asset_check_keys),
        "define": defined - began,
        "resolve": resolved - defined,
        "snapshot": done - resolved,
        "total": done - began,
        "snapshot_mb": len(snapshot) / 1e6,
        "memory_mb": memory_mb("VmHWM"),
    }
    print(json.dumps(loaded))


def serialised(definitions: dg.Definitions) -> str:
    """Return what a code server sends: the repository with all its jobs."""
    return serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))


def _definitions_of(side: str) -> Callable[[int], dg.Definitions]:
    """Return what builds the definitions of so many models on a side, its modules imported."""
    if side == "bare":
        from benchmarks.load import bare

        return bare.definitions
    from benchmarks.load import many_models
    from loopline.asset_defs.code_server import collect_seldom
    from loopline.asset_defs.team import team_definitions

    collect_seldom()  # as our code server does
    return lambda models: team_definitions(many_models.team(models))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
