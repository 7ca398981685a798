"""Code server of a team, which forks runs: ``python -m loopline.asset_defs.code_server TEAM ...``.

Further arguments are those of ``dagster api grpc``, which this is but for the start of run workers.
"""

import gc
import os
import runpy
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import MetaPathFinder

from loopline.asset_defs.private.dagster_private import fork_run_workers
from loopline.platform_core import plugins
from loopline.platform_core.environment import sites
from loopline.platform_core.foundation.distributions import entry_points
from loopline.platform_core.foundation.names import PLATFORM
from loopline.platform_core.plugins import TEAMS

MODULE = "loopline.asset_defs.code_location"
PRELOAD = ("dagster", MODULE, "loopline.asset_defs.team", "loopline.platform_core.loop.ledger.ledger")
"""What each run needs; no library that starts threads when it is imported, for a fork has only one."""


def collect_seldom() -> None:
    """Let the garbage collector look less often.

    Definitions are millions of objects that stay: at the usual thresholds a quarter of the load of a thousand models
    is spent looking for garbage among them, and the more models, the larger the share.
    """
    gc.set_threshold(200_000, 50, 1_000)


def keep_pandas_out() -> None:
    """Let Arrow make arrays in this process without pandas, which it imports at its first one: 49 MB and half a second.

    Arrow looks for pandas once. Who asks for pandas' own objects, as ``to_pandas`` does, lets it look again.
    """
    import pyarrow as pa

    if "pandas" in sys.modules:
        return
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(hidden)


class _Hidden(MetaPathFinder):
    """Hides pandas from whoever imports it."""

    def find_spec(self, name: str, *_: object) -> None:
        """Find nothing, and let nobody else look."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is hidden while Arrow looks for it", name=name)


def end_orphans_of(team: str) -> None:
    """End the runs of the code server before this one: by now the process that runs are forked from is there."""
    import dagster as dg

    from loopline.asset_defs.runs.orphans import end_orphans

    with dg.DagsterInstance.get() as instance:
        ended = end_orphans(instance, team)
    if ended:
        print(f"{ended} runs ended with the code server before this one", file=sys.stderr, flush=True)  # noqa: T201 - its log


def main(team: str, *arguments: str) -> None:
    """Serve a team's definitions until told to stop."""
    collect_seldom()
    plugins.take_place(team)
    if team != PLATFORM:  # its one run a night may start slowly, which saves what a warm process holds
        _import_all([*PRELOAD, *_modules_of(team)])
        fork_run_workers()
        keep_pandas_out()  # runs are forks, and find it as ever
    if "DAGSTER_HOME" in os.environ:
        end_orphans_of(team)
    named = ("--module-name", MODULE, "--attribute", team, "--location-name", team)
    sys.argv = ["dagster", "api", "grpc", *named, *arguments]
    runpy.run_module("dagster", run_name="__main__")


def _import_all(modules: Sequence[str]) -> None:
    """Import what can be imported; what cannot is left to the code server to report."""
    for module in modules:
        with suppress(Exception):
            import_module(module)


def _modules_of(team: str) -> list[str]:
    """Name the team's module."""
    base = sites().base(team)
    return [point.module for point in entry_points(group=TEAMS) if point.name == base]


if __name__ == "__main__":
    main(*sys.argv[1:])
