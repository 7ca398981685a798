"""Dagster's web server in a pod: ``python -m loopline.pod.web_server``, with all of its own options.

The workspace file is a ConfigMap's, which changes when a team comes or goes: it is followed, without a restart and
without a reload of the other teams' code.
"""

from __future__ import annotations

import sys

from loopline.asset_defs.dagster_private import follow_workspace
from loopline.up import web_server

if __name__ == "__main__":
    follow_workspace(sys.argv[sys.argv.index("--workspace") + 1])
    sys.exit(web_server.run())
