"""Evidently workspace: a folder of projects and snapshots for Evidently's own UI."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
"""Evidently's interface asks nobody who they are: it stays on this machine, or behind a gateway."""


def keep(folder: str, project: str, snapshot: Any, title: str) -> None:
    """Add a snapshot to a model's project; one of this title is there once."""
    from evidently.ui.workspace import Workspace

    workspace = Workspace.create(folder)
    same = [known for known in workspace.search_project(project) if known.name == project]
    found = same[0] if same else workspace.create_project(project)
    if title not in _titles(workspace, found.id):
        workspace.add_run(found.id, snapshot, name=title)


def titles(folder: str) -> list[str]:
    """Return the names of all snapshots, sorted."""
    from evidently.ui.workspace import Workspace

    if not Path(folder).is_dir():
        return []
    workspace = Workspace.create(folder)
    return sorted(name for project in workspace.list_projects() for name in _titles(workspace, project.id))


def command(folder: str, port: int) -> Sequence[str]:
    """Return the command line that serves the folder; it tells nobody that it was started."""
    start = "import os, sys; os.environ['DO_NOT_TRACK'] = '1'; from evidently.cli import app; app(sys.argv[1:])"
    return [sys.executable, "-c", start, "ui", "--workspace", folder, "--host", HOST, "--port", str(port)]


def _titles(workspace: Any, project: Any) -> list[str]:
    runs = [workspace.get_run(project, run) for run in workspace.list_runs(project)]
    return [str(run.name) for run in runs]
