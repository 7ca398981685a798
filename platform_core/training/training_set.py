"""Training sets: pinned to table versions, so that the same rows can be rebuilt bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.features.compute.view_features import ViewFeatures
from loopline.platform_core.foundation.names import LABEL, ModelRef, raw_table, view_table
from loopline.platform_core.ingestion.current_row_reads import key_of
from loopline.platform_core.ingestion.quality import doubts
from loopline.platform_core.loop import erasures
from loopline.platform_core.loop.cycles import quarantines
from loopline.platform_core.loop.cycles.quarantines import Window
from loopline.platform_core.training.assembly import Assembly, feature_fields
from loopline.platform_core.training.corrected import choice
from loopline.platform_core.training.fingerprints import row_hash, spec_hash

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

__all__ = ["TrainingSet", "ViewFeatures", "build", "feature_fields", "from_json", "rows", "to_json"]


@dataclass(frozen=True)
class TrainingSet:
    """What pins a training set: what was known at ``as_of``, read from these versions of these tables.

    ``spec_hash`` names the declarations, ``row_hash`` the rows; ``described`` are its labels in a few numbers.
    ``key`` named the raw rows of the labels when the set was pinned. ``left_out`` are the quarantines
    that stood then: no row of an event in these windows is learnt from. ``corrected_rows`` had features that were
    corrected later; ``corrections`` says what became of them (``training.corrected``). ``erased_rows``
    are missing since persons were erased; then versions, hash and ``rows`` are those of what is left
    (``since_erasures``), and the id is what it was.
    """

    training_set_id: str
    team: str
    model: str
    as_of: datetime
    tables: Mapping[str, int]
    spec_hash: str
    row_hash: str
    rows: int
    described: Mapping[str, float]
    key: tuple[str, ...] = ()
    left_out: tuple[Window, ...] = ()
    corrections: str = ""
    corrected_rows: int = 0
    erased_rows: int = 0


_FIELDS = {field.name for field in fields(TrainingSet)}


def build(platform: Platform, team: Team, model: Model, as_of: datetime) -> TrainingSet:
    """Pin the newest table versions and describe the rows that they give.

    Raises:
        NotFound: a table was never written, or no label is known by ``as_of``.
        InvalidSpec: two features of the model have one name.
        ContractBroken: ``as_of`` has no time zone, or the labels reach further than they declare.
    """
    if as_of.tzinfo is None:
        raise ContractBroken(f"as_of {as_of} has no time zone", "give it in UTC")
    as_of = as_of.astimezone(UTC)
    names = [raw_table(team.name, model.labels.source.name), *(view_table(team.name, v) for v in model.features)]
    tables = {name: _version(platform, name) for name in names}
    sources = [source.name for source in doubts.sources(model)]
    left_out = quarantines.windows(platform.ledger, team.name, sources)
    key = key_of(team, model.labels.source)
    joined = Assembly(platform, team, model, as_of, tables, key, left_out, tries=True).rows()
    corrections = choice(model, joined.rows, joined.corrected)
    corrected_rows = int(joined.corrected.sum())
    table = joined.chosen(corrections)
    if not len(table):
        besides = f" outside the quarantine of {', '.join(map(str, left_out))}" if left_out else ""
        besides += f", but for {corrected_rows} whose features were corrected since" if corrected_rows else ""
        instead = ', or give the model training="as_known"' if corrected_rows else ""
        raise NotFound(
            f"no label of {team.name}/{model.name} is known by {as_of.isoformat()}{besides}",
            f"wait until labels arrive, or choose a later as_of{instead}",
        )
    described = model.target.described(model.target.encoded(table[LABEL]))
    hashes = spec_hash(model), row_hash(table)
    pins = TrainingSet("", team.name, model.name, as_of, tables, *hashes, len(table), described, key, left_out)
    return _named(replace(pins, corrections=corrections, corrected_rows=corrected_rows))


def rows(platform: Platform, team: Team, model: Model, training_set: TrainingSet) -> pa.Table:
    """Rebuild the rows from the pinned versions.

    Returns:
        One row per example, sorted by event time, then entities: entities, event_time, features in the model's
        order, label, segments. A segment that has the name of a feature is that feature.

    Whoever has the ledger asks it first what is left of the set: ``since_erasures``.

    Raises:
        ContractBroken: the rows are not those of the pinned set, or not those that were left of it.
        NotFound: a version of a table is gone.
    """
    pinned = training_set
    pins = pinned.as_of, pinned.tables, pinned.key, pinned.left_out
    table = Assembly(platform, team, model, *pins).rows().chosen(pinned.corrections)
    found = row_hash(table)
    if found != pinned.row_hash:
        declared = "the same" if spec_hash(model) == training_set.spec_hash else "other ones now"
        raise ContractBroken(
            f"training set {training_set.training_set_id}: {len(table)} rows hash to {found[:12]}, not "
            f"{pinned.row_hash[:12]}; the declarations are {declared}{_erased(pinned)}",
            "check the team's package out as it was, or build a new training set",
        )
    return table


def since_erasures(ledger: Ledger, training_set: TrainingSet) -> TrainingSet:
    """Return what pins the rows that are left of a training set, itself where nobody was erased since.

    Raises:
        ContractBroken: it could not be built when a person was erased, so nobody knows what is left of it.
    """
    left = erasures.reduced(ledger, ModelRef(training_set.team, training_set.model)).get(training_set.training_set_id)
    if left is None:
        return training_set
    if not left.row_hash:
        raise ContractBroken(
            f"training set {training_set.training_set_id} could not be built when {left.persons} persons were erased: "
            f"{left.problem}",
            "build a new training set",
        )
    tables = {name: left.tables.get(name, version) for name, version in training_set.tables.items()}
    return replace(training_set, tables=tables, row_hash=left.row_hash, rows=left.rows, erased_rows=left.rows_erased)


def _erased(pinned: TrainingSet) -> str:
    return f"; {pinned.erased_rows} rows were erased since it was pinned" if pinned.erased_rows else ""


def to_json(training_set: TrainingSet) -> dict[str, Any]:
    """Turn it into what JSON can hold."""
    plain = {**asdict(training_set), "as_of": training_set.as_of.isoformat()}
    plain |= plain.pop("described")
    left_out = [window.to_json() for window in training_set.left_out]
    own = ("corrections", "corrected_rows", "erased_rows")
    pins = {"key": list(training_set.key), "left_out": left_out, **{name: plain[name] for name in own}}
    return {name: value for name, value in (plain | pins).items() if name not in pins or value}  # named as ever


def from_json(value: Mapping[str, Any]) -> TrainingSet:
    """Turn it back."""
    as_of, key = datetime.fromisoformat(value["as_of"]), tuple(value.get("key", ()))
    left_out = tuple(Window.from_json(window) for window in value.get("left_out", ()))
    described = {name: value[name] for name in value if name not in _FIELDS}
    pins = {"as_of": as_of, "key": key, "left_out": left_out, "described": described}
    return TrainingSet(**{**{name: value[name] for name in value if name in _FIELDS}, **pins})


def _named(training_set: TrainingSet) -> TrainingSet:
    """Give it an id that says the model and the moment, and is the same for the same content."""
    pins = hashlib.sha256(repr(sorted(to_json(training_set).items())).encode()).hexdigest()
    return replace(training_set, training_set_id=f"{training_set.model}-{training_set.as_of:%Y%m%dT%H%M}-{pins[:12]}")


def _version(platform: Platform, table: str) -> int:
    version = platform.lake.version(table)
    if version is None:
        raise NotFound(f"table {table!r} was never written", "land the source and materialize its views first")
    return version
