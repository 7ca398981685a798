"""Dagster's daemon, at less cost: ``python -m loopline.up.daemon``, with all of its own options."""

from __future__ import annotations

import runpy

from loopline.asset_defs.dagster_private import (
    ask_servers_seldom,
    keep_channels,
    keep_connections,
    keep_engines,
    queue_cheaply,
    refresh_where_new,
    tick_cheaply,
    trust_tables,
)

if __name__ == "__main__":
    keep_engines()
    keep_connections()
    keep_channels()
    trust_tables()
    tick_cheaply()
    queue_cheaply()
    refresh_where_new()
    ask_servers_seldom()
    runpy.run_module("dagster._daemon", run_name="__main__", alter_sys=True)
