"""Converts registry records into the response models of the registry routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopline.features_api.registry_models import (
    FreshnessOut,
    LineageOut,
    MeantOut,
    ReaderOut,
    RegistrationOut,
    SourceOut,
    VersionOut,
    ViewOut,
    ViewRead,
)
from loopline.platform_core.features.registry.catalog import Freshness, Meant
from loopline.platform_core.features.registry.readers import Reader
from loopline.platform_core.features.registry.registry import Registration
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.features.registry.view_table import SourceRecord, ViewRecord


def view_out(record: ViewRecord) -> ViewOut:
    """Write a version down."""
    return ViewOut(**_view_fields(record))


def version_out(
    record: ViewRecord,
    source: SourceRecord | None,
    readers: Sequence[Reader],
    fresh: Freshness,
    history: Sequence[Meant],
) -> VersionOut:
    """Write a version down with all that is known of it."""
    ref, meaning = record.ref, record.meaning
    lineage = LineageOut(
        source=source_out(source) if source else None,
        raw=f"{ref.team}/raw/{meaning.source}",
        offline=ref.table,
        online=ref.online if meaning.served == "online" else None,
        readers=[reader_out(reader) for reader in readers],
    )
    return VersionOut(
        **_view_fields(record),
        lineage=lineage,
        freshness=FreshnessOut(newest_event=fresh.newest_event, age_seconds=fresh.age_seconds),
        history=[
            MeantOut(at=m.at, by=m.by, what=m.summary, meaning=m.meaning.hash, code=list(m.meaning.code))
            for m in history
        ],
    )


def source_out(record: SourceRecord) -> SourceOut:
    """Write a source down."""
    return SourceOut(**record.__dict__)


def reader_out(reader: Reader) -> ReaderOut:
    """Write a reader down."""
    return ReaderOut(
        **reader.view._asdict(),
        kind=reader.kind,
        name=reader.name,
        model_version=reader.version,
        role=reader.role,
        contact=reader.contact,
        since=reader.since,
    )


def registration_out(done: Registration) -> RegistrationOut:
    """Write down what a registration did."""
    return RegistrationOut(**{name: [str(ref) for ref in refs] for name, refs in done.__dict__.items()})


def refs(asked: Sequence[ViewRead]) -> list[ViewRef]:
    """Name the versions asked."""
    return [ViewRef(one.team, one.view, one.version) for one in asked]


def _view_fields(record: ViewRecord) -> dict[str, Any]:
    meaning = record.meaning
    plain = ("state", "owner", "description", "registered_at", "registered_by", "changed_at")
    return {
        **record.ref._asdict(),
        **{name: getattr(record, name) for name in plain},
        **{name: getattr(meaning, name) for name in ("entity", "time", "ttl_days", "served", "source")},
        "features": dict(meaning.features),
        "meaning": meaning.hash,
    }
