"""What we use of Dagster's web server that is not its public API: where it asks who may, and of what.

It has hooks for permissions, but some of its changes ask none of them, and some ask about another thing than they
change. So here everything that it does is led past ``Doors``: its permissions, each mutation, what a run printed, and
each of its routes. Its test names what an upgrade broke.
"""

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.tags import REPORTING_USER_TAG, USER_TAG
from dagster._core.workspace.context import WorkspaceRequestContext
from dagster._core.workspace.permissions import PermissionResult, Permissions

from loopline.asset_defs.dagster_web_things import Things, locations_of
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.names import PLATFORM

if TYPE_CHECKING:
    from dagster_webserver.webserver import DagsterWebserver
    from graphql import GraphQLObjectType, GraphQLSchema
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

__all__ = ["LAUNCHER_TAG", "PERMISSIONS", "Doors", "guard_web_server"]

LAUNCHER_TAG = USER_TAG
"""Runs and backfills carry it with the name of who launched them; Dagster's pages show it."""
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
        return {REPORTING_USER_TAG: self.doors.launcher(self.scope)}


def _reports(scope: Scope) -> bool:
    """Say whether a request reports an event of an asset: these routes ask about one key, and then write."""
    return getattr(scope.get("endpoint"), "__name__", "").startswith("report_asset_")


def guard_web_server(doors: Doors, server: "type[DagsterWebserver[Any, Any]] | None" = None) -> None:
    """Let Dagster's web server of this process, or the class given, ask ``doors`` before anything is shown or done."""
    guarded = server or _server()
    schema, routes = guarded.build_graphql_schema, guarded.build_routes
    context = guarded._make_request_context  # noqa: SLF001

    def guarded_context(self: "DagsterWebserver[Any, Any]", connection: Any) -> Any:
        made = context(self, connection)
        if doors.asks(connection.scope):
            assert type(made) is WorkspaceRequestContext, "dagster makes another context of a request now"
            return _Guarded.over(made, doors, connection.scope)
        return made

    def guarded_schema(self: "DagsterWebserver[Any, Any]") -> Any:
        made = schema(self)
        _guard_fields(made.graphql_schema, doors)
        return made

    def guarded_routes(self: "DagsterWebserver[Any, Any]") -> "list[BaseRoute]":
        made: list[BaseRoute] = routes(self)  # type: ignore[no-untyped-call]
        _guard_routes(made, doors, lambda: Things(self._process_context.create_request_context()))
        return made

    guarded._make_request_context = guarded_context  # type: ignore[method-assign, assignment]  # noqa: SLF001
    guarded.build_graphql_schema = guarded_schema  # type: ignore[method-assign]
    guarded.build_routes = guarded_routes  # type: ignore[method-assign]
    _sign_launches()


def _server() -> "type[DagsterWebserver[Any, Any]]":
    from dagster_webserver.webserver import DagsterWebserver

    return DagsterWebserver


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


def _sign_launches() -> None:
    """Let what a request launches carry the name of who asked, whatever tags it was given, or inherits."""
    run, backfill = SqlRunStorage.add_run, SqlRunStorage.add_backfill

    def add_run(self: SqlRunStorage, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        who = _launcher.get()
        return run(self, dagster_run.with_tags({**dagster_run.tags, LAUNCHER_TAG: who}) if who else dagster_run)

    def add_backfill(self: SqlRunStorage, partition_backfill: PartitionBackfill) -> None:
        who = _launcher.get()
        tags = {**(partition_backfill.tags or {}), LAUNCHER_TAG: who}
        backfill(self, partition_backfill._replace(tags=tags) if who else partition_backfill)

    SqlRunStorage.add_run = add_run  # type: ignore[method-assign]
    SqlRunStorage.add_backfill = add_backfill  # type: ignore[method-assign]
