"""Authorization middleware of MLflow's server: checks what a request needs, and audits what it changes.

A program of the platform's own asks for what it is there for, whatever the file of roles says; what is closed, is
closed to it as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from loopline.mlflow_ui import looked
from loopline.mlflow_ui.routes import GRAPHQL, NAMED, Need, needed
from loopline.platform_core.audit import recording
from loopline.platform_core.errors import Denied, LooplineError
from loopline.platform_core.identity.caller import Caller, caller_of
from loopline.up.rights.mutations import WHOLE
from loopline.up.rights.policies import MOST_TOLD
from loopline.web_guard import SAFE, as_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from loopline.up.rights.policies import Policies

WRITE = "write registry"
"""The action of whoever changes what MLflow keeps: it knows no teams, so it is of the platform."""
_CLOSED = "use MLflow for what Loopline keeps in it: experiments, runs, models, versions, artifacts, traces"
_SHORT = f"send at most {looked.MOST_BYTES // 1024} KiB, in fewer pieces"
_UNKNOWN = (
    "ask by the path as MLflow's own client writes it; a route that is new is named in loopline/mlflow_ui/table.py"
)


class Door:
    """Wraps MLflow's application, inside of the sign-in; its pages are below ``prefix``."""

    def __init__(self, app: ASGIApp, policies: Policies, prefix: str = "") -> None:
        self._app, self._policies, self._prefix = app, policies, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 403; websockets are refused, since MLflow has none."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "MLflow has no websockets"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        need = needed(scope["method"], scope["path"], self._prefix)
        body: bytes | None = None
        if need is Need.WRITE or self._is_graphql(scope):
            body, receive = await looked.begun(receive)
        try:
            await run_in_threadpool(self._refuse, scope, need, body)
        except LooplineError as error:
            await as_json(scope, error.problem, error.fix)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refuse(self, scope: Scope, need: Need | None, body: bytes | None) -> None:
        """Hold a request to what it needs.

        Raises:
            Denied: its caller lacks it, or nobody has it. LooplineError: nothing could be asked, or written down.
        """
        if need is Need.OPEN:
            return
        caller = caller_of(scope)
        if caller is None:
            raise Denied("nobody has signed in", "sign in")
        if need is None or need is Need.CLOSED:
            raise self._noted(scope, caller, _nobody_s(scope, need))
        if self._is_graphql(scope) and not looked.only_reads(body):
            raise self._noted(scope, caller, Denied("GraphQL that is not read, or changes, is closed", "send queries"))
        if caller.is_platform:
            return
        if need is Need.WRITE and body is None and any(part in scope["path"] for part in NAMED):
            raise self._noted(scope, caller, Denied("the record cannot say what this changes: it is too long", _SHORT))
        if need is Need.WRITE:
            self._policies.insist(caller, _subject(scope, body), [(WRITE, WHOLE)])
        elif (why := self._policies.why_not_in(caller)) is not None:
            raise Denied(why.problem, why.fix)

    def _is_graphql(self, scope: Scope) -> bool:
        return bool(scope["method"] == "POST" and scope["path"].removeprefix(self._prefix) == GRAPHQL)

    def _noted(self, scope: Scope, caller: Caller, error: Denied) -> Denied:
        """Write an attempt down that may have been meant to change something."""
        if scope["method"] not in SAFE:
            told = {"subject": _subject(scope, None)[:MOST_TOLD], "reason": error.problem, "outcome": "denied"}
            recording.note(self._policies.platform.ledger, "attempt.denied", caller.name, **told)
        return error


def _nobody_s(scope: Scope, need: Need | None) -> Denied:
    what = f"{scope['method']} {scope['path'][: looked.LONGEST_PATH]!r}"
    if need is Need.CLOSED:
        return Denied(f"{what} is closed to everybody", _CLOSED)
    return Denied(f"nobody has said who may {what}", _UNKNOWN)


def _subject(scope: Scope, body: bytes | None) -> str:
    """Name a change: ``MLflow POST /api/2.0/mlflow/registered-models/alias: name retail.cancellations alias ...``."""
    path = scope["path"][: looked.LONGEST_PATH]
    what = f"MLflow {scope['method']} {path if path.isprintable() else repr(path)}"
    of = looked.about(scope["query_string"], body)
    return f"{what}: {of}" if of else what
