"""Portal actions that create a team or model from a template."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.errors import BadRequest, Refused
from loopline.portal.actions.action import Action, Field, Given, Outcome, Proposal, Signed
from loopline.portal.actions.subject import required

if TYPE_CHECKING:
    from loopline.portal.page_request import Portal
    from loopline.templates import Made

WORKSPACE = "LOOPLINE_WORKSPACE"
"""Environment variable that names the folder below which the portal may make projects."""
STARTED = "template.started"
KINDS = ("team", "model")
LABELS = {"team": ("name", "source", "entity", "model"), "model": ("name",)}
FIELDS = {
    "name": ("Name", "", "lower-case letters, digits, underscores"),
    "folder": ("Folder", "", "inside the workspace"),
    "source": ("Source", "orders", "what arrives"),
    "entity": ("Entity", "customer", "of whom features are kept"),
    "model": ("First model", "outcome", "lower-case letters, digits, underscores"),
}


def _propose(_: Portal, given: Given) -> Proposal:
    kind, workspace = _kind(given), _workspace()
    fields = [_field(name, given) for name in ("folder", *LABELS[kind])]
    what = {
        "team": f"A team's package is made in a new folder below {workspace}: a source, features, a model, and a test.",
        "model": f"A model is added to a team below {workspace} that was made from a template: one file.",
    }
    return Proposal(
        f"Start a {kind} from a template",
        [what[kind], "No file that is there is touched. Install the package, and the portal shows it after a restart."],
        [Field("kind", value=kind), *fields],
        f"Make the {kind}",
        "/teams",
    )


def _field(name: str, given: Given) -> Field:
    label, value, hint = FIELDS[name]
    return Field(name, label, given.get(name, value), "text", hint=hint)


def _start(portal: Portal, given: Given, who: Signed) -> Outcome:
    from loopline.platform_core.loop.ledger.ledger import Entry

    kind, folder = _kind(given), _inside(_workspace(), required(given, "folder"))
    made = _made(kind, folder, given)
    files = [str(one.folder / path) for one in made for path in one.files]
    details = {"kind": kind, "folder": str(folder), "name": required(given, "name"), "files": len(files)}
    reason = f"{kind} {details['name']} in {folder}: {who.reason}"
    portal.platform.ledger.record(
        Entry(STARTED, portal.platform.clock.now(), actor=who.by, reason=reason, details=details)
    )
    return Outcome(f"{len(files)} files are made. Next: pip install -e {folder}", [("Teams", "/teams")], files)


def _made(kind: str, folder: Path, given: Given) -> list[Made]:
    try:
        return _team(folder, given) if kind == "team" else _model(folder, given)
    except OSError as error:
        fix = "see to that folder on the portal's machine, or name another"
        raise Refused(f"{folder} cannot be written: {error.strerror}", fix) from error


def _team(folder: Path, given: Given) -> list[Made]:
    from loopline.templates import create_team

    chosen = {name: given.get(name) or FIELDS[name][1] for name in ("source", "entity", "model")}
    answers = {"team": required(given, "name"), "source": chosen["source"], "entity": chosen["entity"]}
    return create_team(folder, answers, chosen["model"])


def _model(folder: Path, given: Given) -> list[Made]:
    from loopline.templates import create
    from loopline.templates.rendering import answers_of_team

    return [create("model", folder, {**answers_of_team(folder), "model": required(given, "name")})]


def _kind(given: Given) -> str:
    kind = given.get("kind", KINDS[0]) or KINDS[0]
    if kind not in KINDS:
        raise BadRequest(f"no template {kind!r} can be started here", f"use one of {', '.join(KINDS)}")
    return kind


def _workspace() -> Path:
    folder = os.environ.get(WORKSPACE, "")
    if not folder:
        raise Refused(
            f"this portal may write no project: {WORKSPACE} names no folder",
            f"start it with {WORKSPACE}=<folder>, or use 'loopline new' on your own machine",
        )
    return Path(folder).resolve()


def _inside(workspace: Path, folder: str) -> Path:
    """Return the folder below the workspace; whatever else the text says, it does not lead out of it."""
    fix = "write a path inside it, such as plugins/shop"
    try:
        found = (workspace / folder).resolve()
        if found == workspace or not found.is_relative_to(workspace):
            raise BadRequest(f"folder {folder!r} is not below {workspace}", fix)
        there = next(path for path in (found, *found.parents) if path.exists())
    except (ValueError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise BadRequest(f"folder {folder!r} cannot be below {workspace}: {said}", fix) from error
    if not there.is_dir():
        raise BadRequest(f"folder {folder!r} cannot be below {workspace}: {there} is a file", fix)
    return found


ACTIONS = (Action("start", _propose, _start),)
