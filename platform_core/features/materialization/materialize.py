"""Materialization of a feature view: incremental, recompute, backfill, and refill of the online store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.errors import CommitConflict, InvalidSpec, NotFound, Permanent
from loopline.platform_core.features.compute.changes import News, feature_names, gone, news
from loopline.platform_core.features.compute.entity_locality import refuse_short_lookback, rests_on_its_entity
from loopline.platform_core.features.compute.lookahead import refuse_lookahead
from loopline.platform_core.features.compute.row_scope import Reach, Tables
from loopline.platform_core.features.materialization import corrections, future_rows
from loopline.platform_core.features.materialization.arrivals import known_with_all
from loopline.platform_core.features.materialization.knowledge_time import known_no_sooner
from loopline.platform_core.features.materialization.upserts import Keeping
from loopline.platform_core.features.registry import failing
from loopline.platform_core.features.registry.registration import registered
from loopline.platform_core.features.registry.watermarks import WHOLE_BELOW, Standing, standing
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import EVENT_TIME, raw_table, view_name
from loopline.platform_core.loop.ledger import causes

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team


@dataclass(frozen=True)
class Materialized:
    """What a materialization added: offline rows, their entities, keys renewed online.

    ``version`` is the offline table's (None: never written), ``newest`` the newest event among the added rows;
    ``incremental`` says that only entities with new raw rows were computed.
    """

    view: str
    rows: int
    entities: int
    online: int
    version: int | None
    newest: datetime | None
    incremental: bool = False


def materialize(platform: Platform, team: Team, view: FeatureView, whole_below: int = WHOLE_BELOW) -> Materialized:
    """Compute a view and keep what is new: an offline row is never changed, a correction is a later row.

    The first run believes the raw rows' arrival times. Every later run says of its rows that they are known from
    when they were online, because before nobody could have been served them; and it computes only entities with
    new raw rows, if a view's rows are known to rest on their entity's alone. Below ``whole_below`` raw rows all is
    computed, and what the rows rest on is tried again. Run again on the same raw rows it adds nothing.

    Raises:
        Refused: the team would change or drop a view that something live reads; nothing is written.
        InvalidSpec: the view's columns are not those of its table, or the function names unknown ones.
        ContractBroken, TaskFailed: as ``Engine.compute_view``; or the view looks ahead, or back further than it says.
        CommitConflict: another materialization of the view was faster.
    """
    tables = Tables(platform, team, view)
    stands = standing(tables)
    shown = future_rows.appear(platform, team, view, stands)
    stands = standing(tables) if shown else stands
    if stands.raw_version is None or stands.nothing_new:
        from loopline.platform_core.features.registry import extents  # SQLAlchemy costs time

        extents.tell_again(tables, stands)
        return Materialized(view_name(view), 0, 0, shown, stands.version, None)
    raw = raw_table(team.name, view.source.name)
    came = causes.landings(platform, team.name, {raw: (stands.done, stands.raw_version)})
    with tracing.span(
        "materialize", parent=came[0] if came else "", links=came[1:], team=team.name, view=view_name(view)
    ) as spanned:
        spanned.note(raw_version=stands.raw_version)
        try:
            registered(platform, team)
            done = _materialized(tables, stands, stands.raw_version, whole_below)
        except Permanent as error:
            failing.failed(platform, team, view, error)
            raise
        failing.works(platform, team, view)
        spanned.note(rows=done.rows, rows_online=done.online, table_version=done.version)
        return done


def _materialized(tables: Tables, stands: Standing, raw_version: int, whole_below: int) -> Materialized:
    view = tables.view
    reach = _touched(tables, stands, whole_below)
    raw = tables.raw(raw_version, reach.rests_on(view))
    computed = tables.computed(raw, reach)
    whole = reach.entities is None
    seen = max(len(raw) if whole else 0, stands.rows_seen + reach.newer_rows)  # of one key there may be many
    proof = _tried(tables, stands, raw, computed, seen, whole_below) if whole else {}
    if stands.version is None:
        found: News | pa.Table = _first(tables, raw_version, raw, computed, alone=_is_alone(stands, proof))
    else:
        found = _corrected(tables, stands, reach, _news(tables, reach, computed), alone=_is_alone(stands, proof))
    done = _keep_news(tables, stands, found, {stands.application: raw_version, **proof, **stands.counts(seen)})
    return replace(done, incremental=not whole)


def recompute(platform: Platform, team: Team, view: FeatureView, *, rests_on_others: bool) -> Materialized:
    """Compute a materialized view on all raw rows and keep what differs.

    With ``rests_on_others`` it is always computed whole from now on: it was found to rest on other entities' rows after
    it had passed its trial.

    Raises:
        NotFound: the view was never materialized. Others: as ``materialize``.
    """
    tables = Tables(platform, team, view)
    stands = standing(tables)
    if stands.version is None or stands.raw_version is None:
        raise NotFound(f"feature view {view_name(view)!r} was never materialized", "materialize it first")
    registered(platform, team)
    raw = tables.raw(stands.raw_version, Reach())
    news_now = _news(tables, Reach(), tables.computed(raw, Reach()))
    found = _corrected(tables, stands, Reach(), news_now, alone=stands.rests_on_its_entity and not rests_on_others)
    said = dict(stands.counts(len(raw))) | ({} if stands.nothing_new else {stands.application: stands.raw_version})
    if rests_on_others:
        said |= stands.proves(max(len(raw), stands.proven_rows + 1), alone=False)
    return _keep_news(tables, stands, found, said)


def backfill(platform: Platform, team: Team, view: FeatureView, since: date, until: date) -> Materialized:
    """Compute a materialized view's rows of some days (UTC, both included) again, and keep what differs.

    Raises:
        NotFound: the view was never materialized. Others: as ``materialize``.
    """
    tables = Tables(platform, team, view)
    stands = standing(tables)
    if stands.version is None or stands.raw_version is None:
        raise NotFound(f"feature view {view_name(view)!r} was never materialized", "materialize it first")
    registered(platform, team)
    reach = Reach(None, _midnight(since), _midnight(until) + timedelta(days=1))
    looks_back = view if stands.proven_rows >= 0 else replace(view, lookback_days=None)
    computed = tables.computed(tables.raw(stands.raw_version, reach.rests_on(looks_back)), reach)
    return _keep_news(tables, stands, _news(tables, reach, computed), {})


def refill(platform: Platform, team: Team, view: FeatureView) -> int:
    """Write the newest row of every entity online again, for a store that is new or was lost; returns the keys."""
    return Keeping(platform, team, view).as_held(platform.clock.now())


def _touched(tables: Tables, stands: Standing, whole_below: int) -> Reach:
    """Find the entities that have new raw rows, and with a look back the time from which on their rows may differ."""
    from pyarrow import compute

    view = tables.view
    if not stands.rests_on_its_entity or stands.proven_rows < whole_below or stands.raw_version is None:
        return Reach()
    try:
        turned = tables.turned(stands.raw_version, than=stands.done)
    except NotFound:  # so long ago that what was added since was tidied away
        return Reach()
    newer = turned.rows
    if stands.is_due(stands.rows_seen + len(newer)):
        return Reach(newer_rows=len(newer), turned=turned.turned)
    since = None if view.lookback_days is None else compute.min(newer[view.time]).as_py()
    entities = compute.unique(newer[view.entity]).drop_null()
    return Reach(entities, since, newer_rows=len(newer), turned=turned.turned)


def _tried(  # noqa: PLR0913, PLR0917 - it looks at all that a run knows
    tables: Tables, stands: Standing, raw: pa.Table, computed: pa.Table, seen: int, whole_below: int
) -> Mapping[str, int]:
    """Refuse a view that looks where it may not, and find out whether its rows rest on their entity's alone.

    What was found to rest on others is not asked again: an answer of no holds. A yes is by the rows at hand.
    """
    engine, view = tables.platform.engine, tables.view
    if stands.version is None:
        refuse_lookahead(engine, view, raw, computed)
    is_known = whole_below <= stands.proven_rows
    if is_known and not (stands.rests_on_its_entity and stands.is_due(seen)):
        return {}
    refuse_short_lookback(engine, view, raw, computed)
    alone = view.rests_on == "entity" and rests_on_its_entity(engine, view, raw, computed)
    return stands.proves(seen, alone)


def _is_alone(stands: Standing, proof: Mapping[str, int]) -> bool:
    """Say whether rows rest on their entity's raw rows alone, by what was just found out, or else by what is known."""
    return bool(proof[stands.proof] % 2) if stands.proof in proof else stands.rests_on_its_entity


def _corrected(tables: Tables, stands: Standing, reach: Reach, found: News, *, alone: bool) -> News:
    """Mark the rows that correct others, where a raw row may cease to hold."""
    if stands.raw_version is None or not tables.may_change or not found.changes:
        return found
    turned = reach.turned
    if turned is None:
        try:
            turned = tables.turned(stands.raw_version, than=stands.done).turned
        except NotFound:  # so long ago that what was added since was tidied away
            turned = tables.parted(stands.raw_version).turned
    return corrections.marked(found, turned, tables.view, alone=alone)


def _news(tables: Tables, reach: Reach, computed: pa.Table) -> News:
    view, held = tables.view, tables.held(reach)
    ours, theirs = (sorted(feature_names(rows, view.entity)) for rows in (computed, held))
    if ours != theirs:
        raise InvalidSpec(
            f"feature view {view.name!r} version {view.version} returns {ours}, but its table holds {theirs}",
            f"give the changed view version={view.version + 1}",
        )
    found = news(computed, held, view.entity)
    return replace(found, gone=gone(computed, held, view.entity)) if tables.may_change else found


def _first(tables: Tables, raw_version: int, raw: pa.Table, computed: pa.Table, *, alone: bool) -> pa.Table:
    """Believe arrivals, and of what was taken back since, that it was not known before that."""
    view = tables.view
    known = computed if alone else known_with_all(view, raw, computed)
    if not tables.may_change or view.served != "online":
        return known
    return known_no_sooner(known, tables.parted(raw_version).turned, view.entity if alone else None, view)


def _keep_news(
    tables: Tables, stands: Standing, found: News | pa.Table, transactions: Mapping[str, int]
) -> Materialized:
    """Keep what is new; the rows of a first run come as they are computed."""
    from pyarrow import compute

    from loopline.platform_core.features.registry import extents  # SQLAlchemy costs time

    keeping = Keeping(tables.platform, tables.team, tables.view)
    rows, clock = found.rows if isinstance(found, News) else found, tables.platform.clock
    begun, newest = clock.now(), compute.max(rows[EVENT_TIME]).as_py()
    # Online first: if this process dies in between, the next run finds the rows missing offline and does both again.
    online = keeping.go_online(rows, begun)
    if isinstance(found, News):
        online += 0 if found.gone is None else keeping.heal(found.gone, found.rows, begun)
        rows = keeping.known_from(found, clock.now())
    entities = compute.unique(rows[tables.view.entity])
    counted = {stands.kept: extents.kept(tables, stands) + len(rows)} if len(rows) else {}
    try:
        waits = future_rows.marks(tables.view, stands, rows, begun)
        version = keeping.go_offline(rows, begun, {**transactions, **waits, **counted}, dict(stands.committed))
    except CommitConflict:  # who was faster knows better, and what this run wrote online may be older than that
        keeping.as_held(clock.now(), entities, rows if tables.may_change else None)
        raise
    if len(rows):
        extents.record(tables, rows, counted[stands.kept], version)
    return Materialized(view_name(tables.view), len(rows), len(entities), online, version, newest)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
