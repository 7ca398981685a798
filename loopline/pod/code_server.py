"""A team's code server in a pod of its own: ``python -m loopline.pod.code_server TEAM ...``."""

from __future__ import annotations

import sys
from functools import partial

from loopline.asset_defs import code_server


def _end_orphans(team: str) -> None:
    import dagster as dg

    from loopline.pod.orphans import end_orphans

    with dg.DagsterInstance.get() as instance:
        ended = end_orphans(instance, team)
    if ended:
        print(f"{ended} runs ended with the pod before this one", file=sys.stderr, flush=True)  # noqa: T201 - its log


if __name__ == "__main__":
    code_server.main(*sys.argv[1:], warmed=partial(_end_orphans, sys.argv[1]))
