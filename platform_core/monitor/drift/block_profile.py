"""Training profile with the spread of its blocks, for rows that depend on each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pyarrow as pa

from loopline.platform_core.foundation.distance import Floats, measurable
from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.monitor.drift import joint
from loopline.platform_core.monitor.drift.block_cuts import Cut, cuts, even, in_order, shuffled
from loopline.platform_core.monitor.drift.blocks import MISSING, Spread, by_draws, dependent, measure_name, spread
from loopline.platform_core.monitor.drift.columns.base import Rows, Scorer
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT
from loopline.platform_core.monitor.drift.profile import Profile, build_profile
from loopline.platform_core.monitor.drift.rounds import Panel, numbered, panel, rounds
from loopline.platform_core.monitor.drift.values import SCORE, is_answer
from loopline.platform_core.specs.model import Drift

JOINT_BLOCKS = 12
"""Blocks of a length that the joint classifier is held against, for it takes long ..."""
JOINT_LENGTHS = 2
"""... and lengths, in rows as in seconds: the shortest, and one that is four times as long or more."""


def training_profile(  # noqa: PLR0913, PLR0917 - what a profile is built of
    table: pa.Table,
    features: Sequence[str],
    scores: Floats,
    rule: Drift,
    answered: pa.Table | None = None,
    entities: Sequence[str] = (),
) -> Profile:
    """Profile a training set and, if the rule wants them, its blocks, as long as windows and longer.

    ``entities`` are the columns by which it is known whether the rows are a panel.

    Raises:
        ContractBroken: a column can be neither measured nor counted, or has a name that the monitor gives away.
    """
    profile = build_profile(table, features, scores, rule=rule, answered=answered)
    if not rule.blocks:
        return profile
    return with_blocks(profile, table, scores, rule.min_rows, answered=answered, entities=entities)


def with_blocks(  # noqa: PLR0913, PLR0917 - what a profile was built of
    profile: Profile,
    table: pa.Table,
    scores: Floats,
    least_rows: int,
    seed: int = 0,
    answered: pa.Table | None = None,
    entities: Sequence[str] = (),
) -> Profile:
    """Add to a profile what blocks of its training set show; ``table`` and ``scores`` are those it was built of."""
    times = _seconds(table)
    random = np.random.default_rng(seed)
    order = in_order(times, table.num_rows, random)
    known, numbers = _panel(table, entities, order, times)
    if known is not None and numbers is not None:
        times = (numbers * known.seconds).astype(np.int64)  # so that no hour or day cuts a round
    lengths = list(cuts(order, times, least_rows, numbers))
    scored = order[measurable(scores[order])]
    found = [
        *_measured(_features(profile, table), lengths, order, random),
        *_measured(_score(profile, scores, answered), list(cuts(scored, times, least_rows, numbers)), scored, random),
    ]
    if any(one is not None and one.dependent for _, one in found):
        found += [(JOINT, one) for one in _together(profile, table, lengths)]
    seconds = float(times.max() - times.min()) if times is not None and len(times) else 0.0
    return replace(profile, blocks=dependent(table.num_rows, seconds, found, known))


def _panel(
    table: pa.Table, entities: Sequence[str], order: Rows, times: Rows | None
) -> tuple[Panel | None, Rows | None]:
    """Find the panel that a training set is, and the round of each of its rows; None where it is none.

    Where all its entities together name a row only once, such as an order, the first one may come back: it decides
    which version answers.
    """
    known = [name for name in entities if name in table.column_names]
    if times is None or not known:
        return None, None
    for by in (known, known[:1])[: len(known)]:  # one entity is looked at once
        keys = numbered([table.column(name) for name in by])
        if found := panel(times, keys):
            numbers = np.zeros(len(order), np.int64)
            numbers[order] = rounds(times[order], keys[order], found.seconds)
            return msgspec.structs.replace(found, by=by), numbers
    return None, None


Measures = tuple[list[str], Scorer]
"""Names of measures, and what gives a value for each."""


def _features(profile: Profile, table: pa.Table) -> list[Measures]:
    names = [name for name in profile.columns if not is_answer(name)]
    found: list[Measures] = []
    for name in names:
        column = profile.columns[name]
        found.append(([measure_name(name, part) for part in column.parts], column.scorer(table.column(name))))
        found.append(([measure_name(name, MISSING)], _missing(column.encoded(table.column(name), "?"))))
    return found


def _score(profile: Profile, scores: Floats, answered: pa.Table | None) -> list[Measures]:
    found: list[Measures] = [([SCORE], profile.columns[SCORE].scorer(pa.chunked_array([scores])))]
    for name, values in zip(answered.column_names, answered.columns, strict=True) if answered is not None else ():
        column = profile.columns[name]
        found.append(([measure_name(name, part) for part in column.parts], column.scorer(values)))
    return found


def _missing(lost: Floats) -> Scorer:
    share = float(lost.mean()) if len(lost) else 0.0
    return lambda rows: (len(rows), [abs(float(lost[rows].mean()) - share)])


def _measured(
    measures: list[Measures], lengths: Sequence[Cut], order: Rows, random: np.random.Generator
) -> Iterator[tuple[str, Spread | None]]:
    for cut in lengths:
        drawn = shuffled(cut, order, random)
        for names, scorer in measures:
            sides = [[scorer(block) for block in blocks] for blocks in (cut.blocks, drawn)]
            for part, name in enumerate(names):
                found, others = ([(rows, values[part]) for rows, values in side] for side in sides)
                yield name, spread(cut, found, by_draws(others))


def _together(profile: Profile, table: pa.Table, lengths: Sequence[Cut]) -> Iterator[Spread | None]:
    scorer = joint.scorer(profile, table)
    for by in ("rows", "seconds") if scorer else ():
        for cut in [cut for cut in lengths if cut.by == by][::2][:JOINT_LENGTHS]:
            found = [scorer(block) for block in even(cut.blocks, JOINT_BLOCKS)] if scorer else []
            rows = float(np.mean([count for count, _ in found]))
            yield spread(cut, [(count, values[0]) for count, values in found], (*joint.by_chance(rows), len(found)))


def _seconds(table: pa.Table) -> Rows | None:
    """Return the event times in seconds; None where the table has none, or not of every row."""
    if EVENT_TIME not in table.column_names or table.column(EVENT_TIME).null_count:
        return None
    instants = table.column(EVENT_TIME).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(instants.to_numpy() // 1_000_000, dtype=np.int64)
