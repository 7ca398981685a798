"""Column dependencies: which source columns a view or labels read, found by leaving out one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from loopline.platform_core.ingestion.raw_rows import no_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.specs import FeatureView, Labels, Team
    from loopline.platform_core.specs.contracts.contract_file import Column, RowContract

    Reader = FeatureView | Labels
    """What reads a source's rows."""

_known: dict[tuple[type[Engine], Reader, tuple[Column, ...]], frozenset[str]] = {}
"""A dozen runs on empty tables take a tenth of a second, and commands, checks and the registry all ask."""


def readers(team: Team, source: str) -> Iterator[Reader]:
    """Yield the views of a source, then its labels, each once."""
    yield from (view for view in team.views if view.source.name == source)
    found = {model.labels.name: model.labels for model in team.models if model.labels.source.name == source}
    yield from found.values()


def models_of(team: Team, reader: Reader) -> tuple[str, ...]:
    """Name the models that learn from a view, or from labels."""
    return tuple(model.name for model in team.models if reader in (*model.features, model.labels))


def output(engine: Engine, reader: Reader, contract: RowContract) -> pa.Schema:
    """Return what the function gives for rows of a contract, by running it on none.

    Raises:
        InvalidSpec, TaskFailed: as ``Engine.compute_view``; or whatever a team's function raises.
    """
    from loopline.platform_core.specs import Labels

    raw = no_rows(contract)
    if isinstance(reader, Labels):
        return engine.compute_labels(reader, raw).schema
    return engine.compute_view(reader, raw).schema


def columns_read(engine: Engine, reader: Reader, contract: RowContract) -> frozenset[str]:
    """Return the contract's columns without which the function fails, or gives something else.

    Raises:
        InvalidSpec, TaskFailed: the function does not run on the contract's rows as it is.
    """
    key = (type(engine), reader, contract.columns)
    if key not in _known:
        whole = output(engine, reader, contract)
        names = [column.name for column in contract.columns]
        _known[key] = frozenset(name for name in names if trial(engine, reader, without(contract, name), whole))
    return _known[key]


def without(contract: RowContract, column: str) -> RowContract:
    """Return the contract without a column."""
    return replace(contract, columns=tuple(c for c in contract.columns if c.name != column))


def trial(engine: Engine, reader: Reader, contract: RowContract, before: pa.Schema) -> str:
    """Say how what the function gives under another contract differs from ``before``; empty when it does not."""
    from loopline.platform_core.errors import LooplineError

    try:
        after = output(engine, reader, contract)
    except LooplineError as error:
        return error.problem
    except Exception as error:  # noqa: BLE001 - a team's own
        return f"fails with {type(error).__name__}: {error}"
    return "; ".join(_differences(before, after))


def _differences(before: pa.Schema, after: pa.Schema) -> Iterator[str]:
    gone, come = ([n for n in one.names if n not in other.names] for one, other in ((before, after), (after, before)))
    yield from (f"no longer returns {name!r}" for name in gone)
    yield from (f"returns {name!r} as well" for name in come)
    for name in before.names:
        if name in after.names and before.field(name).type != after.field(name).type:
            yield f"returns {name!r} as {after.field(name).type}, not {before.field(name).type}"
