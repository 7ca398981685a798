"""Private APIs of Dagster's web server: hooks that authorize what it shows and does.

The web server has hooks for permissions, but some of its changes ask none of them, and some ask about another thing
than they change. So here everything that it does is led past ``Doors``: its permissions, each mutation, what a run
printed, and each of its routes. Its test names what an upgrade broke.
"""

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._core.workspace.permissions import PermissionResult, Permissions
from dagster_webserver.webserver import DagsterWebserver

from loopline.asset_defs.private.dagster_web_things import Things, locations_of
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.names import PLATFORM

if TYPE_CHECKING:
    from dagster._core.execution.backfill import PartitionBackfill
    from dagster._core.storage.runs.base import RunStorage
    from graphql import GraphQLObjectType, GraphQLSchema
    from starlette.middleware import Middleware
    from starlette.requests import HTTPConnection
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

__all__ = ["LAUNCHER_TAG", "PERMISSIONS", "Doors", "GuardedWebserver", "workspace_of"]

POLL_MS = 2000
"""Between two looks of a page at what is new."""
STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, POOL_MAX_OVERFLOW = 15_000, 3_600, 20
"""How Dagster's own web server uses a database that others share."""
LAUNCHER_TAG = "user"
"""Runs and backfills carry it with the name of who launched them; Dagster's pages show it."""
REPORTER_TAG = "dagster/reporting_user"
"""Reported events carry it with the name of who reported them."""
PERMISSIONS = tuple(str(each.value) for each in Permissions)
"""Every permission that Dagster's own hooks ask for."""
STATIC = "static"
"""Stands for the path of each file of its pages."""
_STATIC_NAME = "_static"
_PRINTED = (("Query", "capturedLogs"), ("Query", "capturedLogsMetadata"), ("Subscription", "capturedLogs"))
"""Fields that show what was printed, by a log's key."""
_launcher: ContextVar[str] = ContextVar("launcher", default="")

Scope = MutableMapping[str, Any]
Given = Mapping[str, Any]
Hold = Callable[["_Guarded", Any, Given], None]
"""Raises where a field is not resolved: by the request, what the field is of, and its arguments."""


class Doors(Protocol):
    """What Dagster's web server asks of us; ``scope`` is the request's, as ASGI has it."""

    def asks(self, scope: Scope) -> bool:
        """Say whether anybody is asked in this request; where not, everything stays as Dagster has it."""

    def launcher(self, scope: Scope) -> str:
        """Return the name of who asks."""

    def why_not(self, scope: Scope, permission: str, locations: Sequence[str]) -> str:
        """Say why a permission is not given in all of some locations, "" where it is."""

    def hides_settings(self, scope: Scope) -> bool:
        """Say whether the instance's settings, in which passwords may stand, are kept from who asks."""

    def change(self, scope: Scope, name: str, things: Things, given: Given) -> None:
        """Take note of a mutation that is to be done.

        Raises:
            LooplineError: it is not.
        """

    def report(self, scope: Scope, locations: Iterable[str], asset: str) -> None:
        """Take note of an event of an asset that is to be reported over HTTP.

        Raises:
            LooplineError: it is not.
        """

    def read_printed(self, scope: Scope, things: Things, log_key: Sequence[str]) -> None:
        """Let what a run printed be read.

        Raises:
            LooplineError: it is not.
        """

    def evaluate(self, scope: Scope, location: str, name: str) -> None:
        """Take note that the code of a schedule or sensor is to be run for its answer, which a query can ask for.

        Raises:
            LooplineError: it is not.
        """

    def entry(self, path: str, app: "ASGIApp", things: Callable[[], Things]) -> "ASGIApp":
        """Return what stands before a route: its path as Dagster writes it, ``STATIC`` for files of its pages."""


class _Guarded(WorkspaceRequestContext):
    """A request's context whose permissions are ours; those of a location, "" for all, are asked for once a request."""

    doors: Doors
    scope: Scope
    answers: dict[str, Mapping[str, PermissionResult]]

    @classmethod
    def over(cls, made: WorkspaceRequestContext, doors: Doors, scope: Scope) -> "_Guarded":
        """Return the context that Dagster has made, with our answers."""
        guarded = object.__new__(cls)
        guarded.__dict__.update(made.__dict__)
        guarded.doors, guarded.scope, guarded.answers = doors, scope, {}
        return guarded

    @property
    def permissions(self) -> Mapping[str, PermissionResult]:
        if "" not in self.answers:
            self.answers[""] = self._answered(super().permissions, [PLATFORM, *self.code_location_names])
        return self.answers[""]

    def permissions_for_location(self, *, location_name: str) -> Mapping[str, PermissionResult]:
        if location_name not in self.answers:
            given = super().permissions_for_location(location_name=location_name)
            self.answers[location_name] = self._answered(given, [location_name])
        return self.answers[location_name]

    def _answered(
        self, given: Mapping[str, PermissionResult], locations: Sequence[str]
    ) -> Mapping[str, PermissionResult]:
        return {name: self._result(str(name), locations) if one.enabled else one for name, one in given.items()}

    def _result(self, permission: str, locations: Sequence[str]) -> PermissionResult:
        why = self.doors.why_not(self.scope, permission, locations)
        return PermissionResult(enabled=not why, disabled_reason=why or None)

    def has_permission_for_selector(self, permission: str, selector: Any) -> bool:
        """Ask about every location that makes an asset: Dagster asks about one of them."""
        if not isinstance(selector, dg.AssetKey):
            return super().has_permission_for_selector(permission, selector)
        self._checked_permissions.add(permission)
        locations = locations_of(self, selector)
        if _reports(self.scope):
            self.doors.report(self.scope, locations, selector.to_user_string())
            return True
        return all(self.permissions_for_location(location_name=name)[permission].enabled for name in locations)

    @property
    def show_instance_config(self) -> bool:
        return not self.doors.hides_settings(self.scope)

    def get_viewer_tags(self) -> dict[str, str]:
        return {LAUNCHER_TAG: self.doors.launcher(self.scope)}

    def get_reporting_user_tags(self) -> dict[str, str]:
        return {REPORTER_TAG: self.doors.launcher(self.scope)}


def _reports(scope: Scope) -> bool:
    """Say whether a request reports an event of an asset: these routes ask about one key, and then write."""
    return getattr(scope.get("endpoint"), "__name__", "").startswith("report_asset_")


class GuardedWebserver(DagsterWebserver[WorkspaceProcessContext, WorkspaceRequestContext]):
    """Dagster's web server, which asks ``doors`` before anything is shown or done.

    It stands behind middleware, the first outermost; so do its websockets.
    """

    def __init__(self, context: WorkspaceProcessContext, doors: Doors, middleware: "Sequence[Middleware]" = ()) -> None:
        self._doors, self._before = doors, middleware
        super().__init__(context, live_data_poll_rate=POLL_MS)
        _sign_launches(context.instance.run_storage)

    def build_middleware(self) -> "list[Middleware]":
        """Put ours before Dagster's."""
        return [*self._before, *super().build_middleware()]

    def build_graphql_schema(self) -> Any:
        """Put doors before the fields that change, print or evaluate something."""
        made = super().build_graphql_schema()
        _guard_fields(made.graphql_schema, self._doors)
        return made

    def build_routes(self) -> "list[BaseRoute]":
        """Put an entry before each route."""
        made: list[BaseRoute] = super().build_routes()  # type: ignore[no-untyped-call]
        _guard_routes(made, self._doors, lambda: Things(self._process_context.create_request_context()))
        return made

    def _make_request_context(self, conn: "HTTPConnection") -> WorkspaceRequestContext:
        made = super()._make_request_context(conn)
        if self._doors.asks(conn.scope):
            assert type(made) is WorkspaceRequestContext, "dagster makes another context of a request now"
            return _Guarded.over(made, self._doors, conn.scope)
        return made


@contextmanager
def workspace_of(file: str) -> Iterator[WorkspaceProcessContext]:
    """Open the instance of ``DAGSTER_HOME`` as Dagster's own web server does, with a workspace file's locations."""
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, POOL_MAX_OVERFLOW)
        with WorkspaceProcessContext(instance, WorkspaceFileTarget([file]), version=dg.__version__) as context:
            yield context


def _guard_routes(routes: "Sequence[BaseRoute]", doors: Doors, things: Callable[[], Things]) -> None:
    """Put an entry before each route, inside of its path's match: what it sees of a path is what the route sees."""
    for route in routes:
        inner = getattr(route, "routes", None)
        if inner:
            _guard_routes(inner, doors, things)
        else:
            named: Any = route
            is_file = (named.name or "").endswith(_STATIC_NAME)
            named.app = doors.entry(STATIC if is_file else named.path, named.app, things)


def _guard_fields(schema: "GraphQLSchema", doors: Doors) -> None:
    """Stand before each mutation, what shows what was printed, and what runs code; what only reads stays as it is."""
    assert schema.mutation_type is not None, "dagster has no mutations now"
    for name, field in schema.mutation_type.fields.items():
        field.resolve = _changing(name, field.resolve, doors)
    for kind, name in _PRINTED:
        field, held = _type(schema, kind).fields[name], "subscribe" if kind == "Subscription" else "resolve"
        setattr(field, held, _held(getattr(field, held), _printed_by(doors, lambda _, given: given["logKey"])))
    of_run = _type(schema, "Run").fields["capturedLogs"]
    of_run.resolve = _held(of_run.resolve, _printed_by(doors, lambda run, _: [run.run_id]))
    evaluated = _type(schema, "DryRunInstigationTick").fields["evaluationResult"]
    evaluated.resolve = _held(evaluated.resolve, _evaluated_by(doors))


def _printed_by(doors: Doors, key: Callable[[Any, Given], Sequence[str]]) -> Hold:
    return lambda context, root, given: doors.read_printed(context.scope, Things(context), key(root, given))


def _evaluated_by(doors: Doors) -> Hold:
    def hold(context: _Guarded, tick: Any, _: Given) -> None:
        selector = tick._selector  # noqa: SLF001 - it has no other name
        name = getattr(selector, "sensor_name", None) or selector.schedule_name
        doors.evaluate(context.scope, selector.location_name, name)

    return hold


def _type(schema: "GraphQLSchema", name: str) -> "GraphQLObjectType":
    found: Any = schema.type_map[name]
    return found  # type: ignore[no-any-return]


def _changing(name: str, own: Any, doors: Doors) -> Callable[..., Any]:
    @functools.wraps(own)
    def resolve(root: Any, info: Any, **given: Any) -> Any:
        context = info.context
        if not isinstance(context, _Guarded):
            return own(root, info, **given)
        try:
            doors.change(context.scope, name, Things(context), given)
        except LooplineError as error:
            return _refusal(info, error)
        who = doors.launcher(context.scope)
        with _launching(who):
            found = own(root, info, **given)
        return _later(found, who) if isawaitable(found) else found

    return resolve


async def _later(found: Awaitable[Any], who: str) -> Any:
    with _launching(who):
        return await found


def _held(own: Any, hold: Hold) -> Callable[..., Any]:
    """Return a field's resolver that is held before it is asked."""

    @functools.wraps(own)
    def resolve(root: Any, info: Any, **given: Any) -> Any:
        from graphql import GraphQLError

        if isinstance(info.context, _Guarded):
            try:
                hold(info.context, root, given)
            except LooplineError as error:
                raise GraphQLError(_text(error)) from error
        return own(root, info, **given)

    return resolve


def _refusal(info: Any, error: LooplineError) -> Any:
    """Answer as Dagster does where its own hooks refuse; where a mutation has no such answer, with an error."""
    from dagster_graphql.schema.errors import GrapheneUnauthorizedError
    from graphql import GraphQLError, get_named_type

    kinds = getattr(get_named_type(info.return_type), "types", ())
    if "UnauthorizedError" in {kind.name for kind in kinds}:
        return GrapheneUnauthorizedError(message=_text(error))  # type: ignore[no-untyped-call]
    raise GraphQLError(_text(error)) from error


def _text(error: LooplineError) -> str:
    return f"{error.problem}; {error.fix}"


@contextmanager
def _launching(who: str) -> Iterator[None]:
    token = _launcher.set(who)
    try:
        yield
    finally:
        _launcher.reset(token)


def _sign_launches(storage: "RunStorage") -> None:
    """Let what a request launches carry the name of who asked, whatever tags it was given, or inherits."""
    run, backfill = storage.add_run, storage.add_backfill

    def add_run(dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        who = _launcher.get()
        return run(dagster_run.with_tags({**dagster_run.tags, LAUNCHER_TAG: who}) if who else dagster_run)

    def add_backfill(partition_backfill: "PartitionBackfill") -> None:
        who = _launcher.get()
        tags = {**(partition_backfill.tags or {}), LAUNCHER_TAG: who}
        backfill(partition_backfill._replace(tags=tags) if who else partition_backfill)

    storage.add_run, storage.add_backfill = add_run, add_backfill  # type: ignore[method-assign]
