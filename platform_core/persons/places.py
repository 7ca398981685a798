"""List of all places that may hold a person's data, in the order in which they are cleared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from loopline.platform_core.contracts.event_source import MALFORMED, REDACTS
from loopline.platform_core.errors import ContractBroken, LooplineError, NotFound
from loopline.platform_core.foundation.names import (
    LINE,
    ModelRef,
    dead_letter_table,
    explanations_table,
    online_view,
    prediction_table,
    raw_table,
    realised_table,
    scores_table,
    view_name,
    view_table,
)
from loopline.platform_core.ingestion.arrivals import REDACTED
from loopline.platform_core.ingestion.erased_rows import SHORTEST, as_landed, words
from loopline.platform_core.ingestion.inbox import Inbox, application
from loopline.platform_core.monitor.quality import predictions, quality_snapshot
from loopline.platform_core.persons import place, sets
from loopline.platform_core.persons.place import BY_CONTRACT, BY_KEY, BY_TEXT, NOT_LOOKED, Place, Row
from loopline.platform_core.specs.contracts.source import STREAM

if TYPE_CHECKING:
    from loopline.platform_core.contracts.event_source import Arrival
    from loopline.platform_core.persons.subject import Subject
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Model, Source

ASSIGNED = "a version is chosen by a hash of the key at each request: no assignment is kept"


def of(platform: Platform, subject: Subject) -> list[Place]:
    """List the places of a team."""
    team = subject.team
    found = [one for source in team.sources for one in _of_source(platform, subject, source)]
    found += [one for view in team.views for one in _of_view(platform, subject, view)]
    found += [one for model in team.models for one in _of_model(platform, subject, model)]
    found += [sets.place_of(platform, subject, model) for model in team.models]
    return [*found, Place("experiments", list, None, note=ASSIGNED)]


def _of_source(platform: Platform, subject: Subject, source: Source) -> Iterator[Place]:
    contract, team = subject.contracts[source], subject.team.name
    ways, where = subject.columns(contract), f"{team}/{source.name}"
    by = BY_CONTRACT if any({*way} != {*subject.entities} for way in ways) else BY_KEY
    if not ways:
        yield Place(f"source {where}", list, None, NOT_LOOKED, "its contract has no column of the entity")
        return
    if source.arrives == STREAM:
        note = "its records, and letters told of there, are the broker's; they do not land again from there"
        yield Place(f"stream {where}", list, None, NOT_LOOKED, note)
    else:
        yield _files(platform, subject, source)
    meant = partial(_is_meant, subject, source)
    lettered = dead_letter_table(team, source.name)
    yield place.chosen(platform.lake, lettered, f"dead letters of {where}", column="row", is_meant=meant, by=BY_TEXT)
    yield place.table(platform.lake, raw_table(team, source.name), f"raw rows of {where}", ways, by)


def _is_meant(subject: Subject, source: Source, letter: str | None) -> bool:
    """Say whether a letter's row, the fields as they came, is the person's."""
    contract = subject.contracts[source]
    fields: Mapping[str, Any] = orjson.loads(letter or "{}")
    columns = {column.name: column for column in contract.columns}
    for way in subject.columns(contract):
        if all(as_landed(columns[name], fields.get(columns[name].physical_name)) == key for name, key in way.items()):
            return True
    text = words(fields.get(MALFORMED))
    return bool(text) and all(len(key) >= SHORTEST and key in text for key in subject.keys.values())


def _files(platform: Platform, subject: Subject, source: Source) -> Place:
    """Return what lies where files arrive; who keeps it is asked where that is somebody else."""
    where = f"{subject.team.name}/{source.name}"
    events, inbox = platform.event_source, Inbox.of(platform, subject.team, source)

    def found() -> Iterator[tuple[Arrival, list[Row]]]:
        for arrival in events.arrivals(where):
            try:
                lines = events.read(where, arrival).to_pylist()
            except (ContractBroken, NotFound):  # no table at all: it is looked at byte by byte
                continue
            own = [row for row in lines if _is_meant(subject, source, orjson.dumps(row).decode())]
            if own:
                yield arrival, own

    def rows() -> list[Row]:
        return [{"_file": arrival.name, **row} for arrival, own in found() for row in own]

    def erase() -> None:
        for arrival, own in found():
            said = partial(_landed, inbox, arrival, subject.without_keys(arrival.name))
            events.redact(where, arrival, {int(row[LINE]) for row in own}, said)

    name = f"files of {where}"
    if REDACTS in events.can:
        return Place(name, rows, erase, BY_TEXT)
    note = (
        "they are kept by somebody else: ask there that the person is erased; what comes from there does not land again"
    )
    return Place(name, rows, None, BY_TEXT, note)


def _landed(inbox: Inbox, arrival: Arrival, name: str, arrival_id: str) -> None:
    """Say of what is left of a file that it landed, if the file had; else it lands as it is."""
    lake, before, now = inbox.platform.lake, application(arrival.arrival_id), application(arrival_id)
    if lake.version(inbox.raw) is None or before not in lake.committed(inbox.raw, [before]):
        return
    if now not in lake.committed(inbox.raw, [now]):
        lake.append(inbox.raw, lake.read(inbox.raw, until=date.min), {now: lake.committed(inbox.raw, [before])[before]})
    details = {"arrival": arrival.arrival_id, "name": name, "now": arrival_id}
    inbox.record(REDACTED, f"{name} is written anew without somebody's rows", details, f"{REDACTED}:{arrival_id}")


def _of_view(platform: Platform, subject: Subject, view: FeatureView) -> Iterator[Place]:
    team = subject.team
    if view.entity not in subject.keys or len(subject.keys) > 1:
        yield Place(f"view {view_name(view)}", list, None, NOT_LOOKED, f"its rows are of {view.entity!r}")
        return
    key = subject.keys[view.entity]
    table, what = view_table(team.name, view), f"offline rows of {view_name(view)}"
    if view.served == "online":  # before the offline rows, which know how keys are written there
        store, name = platform.online_store, online_view(team.name, view)
        keys = place.spelled(platform.lake, table, view.entity, key)

        def rows() -> list[Row]:
            return [_online(row) for row in store.read([(name, keys)])[0] if row is not None]

        yield Place(f"online row of {view_name(view)}", rows, lambda: store.erase(name, view.entity, keys))
    yield place.table(platform.lake, table, what, [{view.entity: key}])


def _online(row: Any) -> Row:
    return {"event_time_us": row.event_time_us, "values": list(row.values)}


def _of_model(platform: Platform, subject: Subject, model: Model) -> Iterator[Place]:
    ref = ModelRef(subject.team.name, model.name)
    yield _log(platform, subject, ref)
    yield _spool(platform, subject, ref)
    for what, name in (
        ("predictions", prediction_table(*ref)),
        ("predictions with labels", realised_table(*ref)),
        ("daily scores", scores_table(*ref)),
        ("explanations", explanations_table(*ref)),
    ):
        yield place.chosen(platform.lake, name, f"{what} of {ref}", column="keys", is_meant=subject.is_named_in)

    def forget() -> None:
        for file in quality_snapshot.look_path(platform, ref).parent.glob(f"{ref.dotted}*"):
            file.unlink(missing_ok=True)

    note = "labels and answers that are kept for the next look; they are made again"
    yield Place(f"looks at the quality of {ref}", list, forget, "thrown away", note)


def _log(platform: Platform, subject: Subject, ref: ModelRef) -> Place:
    """Return the servers' log, compacted or not."""
    serving = platform.serving

    def rows() -> list[Row]:
        logged = serving.predictions(ref.dotted)[0].to_pylist()
        return [row for row in logged if subject.is_named_in(row["keys"])]

    def erase() -> None:
        if keys := {row["keys"] for row in rows()}:
            serving.erase(ref.dotted, keys)

    return Place(f"prediction log of {ref} where it is written", rows, erase)


def _spool(platform: Platform, subject: Subject, ref: ModelRef) -> Place:
    """Return the newest batch of the log, which is kept for its cursor."""

    def rows() -> list[Row]:
        spooled = predictions.spooled(platform, ref)
        return [row for rows in spooled for row in rows.to_pylist() if subject.is_named_in(row["keys"])]

    def erase() -> None:
        predictions.take_out(platform, ref, subject.is_named_in)

    return Place(f"newest batch of the log of {ref}", rows, erase)


def looked(one: Place) -> list[Row] | str:
    """Return what is there, or why it could not be looked at."""
    try:
        return list(one.rows())
    except LooplineError as error:
        return f"{error.problem} → {error.fix}"
