"""Dagster's web server in a pod: ``python -m loopline.pod.web_server --workspace FILE``.

The workspace file is a ConfigMap's, which changes when a team comes or goes: it is followed, without a restart and
without a reload of the other teams' code. Dagster reads the file at each reload, which only a person asks for.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.up import web_server

if TYPE_CHECKING:
    from dagster._core.workspace.context import WorkspaceProcessContext

FOLLOW_SECONDS = 2.0
"""Between two looks at the workspace file."""


def follow(file: str, context: WorkspaceProcessContext) -> None:
    """Take up code locations that come to stand in a workspace file, or leave it; in a thread of its own."""
    text = Path(file).read_text(encoding="utf-8")
    threading.Thread(target=_follow, args=(file, text, context), daemon=True, name="workspace").start()


def _follow(file: str, known: str, context: WorkspaceProcessContext) -> None:
    while True:
        time.sleep(FOLLOW_SECONDS)
        try:
            text = Path(file).read_text(encoding="utf-8")
            if text != known:
                context.refresh_workspace()
                known = text
        except Exception:  # half a file, or a team's server that does not answer: looked at again
            logging.getLogger("loopline").exception("the workspace %s could not be taken up", file)


if __name__ == "__main__":
    sys.exit(web_server.main(follow))
