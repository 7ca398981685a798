"""Dagster's web server behind our guard: ``python -m loopline.up.web_server``, with all of its own options.

By itself it executes a mutation that stands in an address, so any page's image could launch a run; it answers to any
name, opens a websocket for any page, and lets any page frame it.
"""

from __future__ import annotations

import runpy

from starlette.middleware import Middleware

from loopline.asset_defs.dagster_private import (
    ask_servers_seldom,
    keep_channels,
    keep_connections,
    keep_engines,
    keep_questions,
    trust_tables,
    wrap_web_server,
)
from loopline.web_guard import Guard, allowed, graphql_as_json

FRAMED = {"x-frame-options": "SAMEORIGIN"}


def guard() -> Middleware:
    """Return the guard of this machine's names and those of ``LOOPLINE_HOSTS``."""
    fix = "send GraphQL as a POST of application/json, by the server's own name; others are allowed in LOOPLINE_HOSTS"
    return Middleware(Guard, hosts=allowed(), rule=graphql_as_json, fix=fix, headers=FRAMED)


def main() -> None:
    """Serve with the options of the command line."""
    keep_engines()
    keep_connections()
    keep_channels()
    trust_tables()
    keep_questions()
    ask_servers_seldom()
    wrap_web_server(guard())
    runpy.run_module("dagster_webserver", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
