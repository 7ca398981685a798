"""Card sections on a version before deployment: data, features, training, evaluation, gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.cards.card import Table
from loopline.platform_core.cards.words import at, number, settings
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.platform_core.cards.known import Known
    from loopline.platform_core.training.training_set import TrainingSet

MOST = 10
"""So many of the columns that moved predictions most are told."""


def identity(known: Known) -> dict[str, str]:
    """Say what the version is, and which came before it."""
    model = known.model
    owner = (model.owner if model else "") or (known.team.owner if known.team else "")
    before = known.before[-1].version if known.before else "none: it is the first"
    return {
        "Model": str(known.ref),
        "Version": known.version,
        "Version before": before,
        "Registered": at(known.registered.at),
        "Cycle": f"{known.registered.cycle}, because of {known.cycle.cause}" if known.cycle else known.registered.cycle,
        "Owner": owner,
        "Description": model.description if model else "",
        "Kind of model": f"{model.target.kind}: {settings(model.target.to_json())}" if model else "",
        "Served as": str(known.trained.get("package_kind", "")),
        "Live": "; ".join(f"{at(one.at)}: {_live(one.details)}" for one in known.live) or "never",
    }


def data(known: Known) -> dict[str, str]:
    """Say from which rows it learnt, and whose."""
    pinned, model = known.pinned, known.model
    if pinned is None:
        return {"Training set": "none is written down"}
    described = ", ".join(f"{name} {number(value)}" for name, value in pinned.described.items())
    persons = personal.entities(known.team, model) if known.team and model else []
    return {
        "Training set": pinned.training_set_id,
        "Known by": at(pinned.as_of),
        "Rows": f"{pinned.rows:,}",
        "Labels": f"{described}; {model.labels.description}".rstrip("; ") if model else described,
        "Left out as bad data": "; ".join(map(str, pinned.left_out)) or "nothing",
        "Features corrected since": corrections(pinned) or "of no row",
        "Entities that are persons": ", ".join(persons) or ("none is marked" if model else ""),
        "Hash of the rows": pinned.row_hash,
        "Hash of the declarations": pinned.spec_hash,
        "Kept of predictions": f"{model.retention_days} days" if model and model.retention_days else "",
    }


def corrections(pinned: TrainingSet) -> str:
    """Say of how many rows features were corrected since, and what became of these; "" where of none."""
    if not pinned.corrections:
        return ""
    return f"of {pinned.corrected_rows:,} rows, {pinned.corrections}"


def tables(known: Known) -> Table:
    """Name the tables in the versions that were read."""
    rows = sorted(known.pinned.tables.items()) if known.pinned else []
    return Table("Tables that were read", ("table", "version"), [(name, str(version)) for name, version in rows])


def features(known: Known) -> Table:
    """Name the views that the declared model reads."""
    views = known.model.features if known.model else ()
    rows = [(v.name, str(v.version), v.entity, v.served, " ".join(v.description.split())) for v in views]
    return Table("Feature views, as declared now", ("view", "version", "entity", "served", "description"), rows)


def training(known: Known) -> dict[str, str]:
    """Say how it was searched and fitted, and how like the served form is."""
    trained = known.trained
    trials = trained.get("trials") or {}
    return {
        "Parameters": ", ".join(f"{name}={value}" for name, value in sorted((trained.get("params") or {}).items())),
        "Search": ", ".join(f"{name} {number(value)}" for name, value in sorted(trials.items())),
        "Served form": _parity(trained.get("parity") or {}),
        "Mistake on purpose": settings(known.cycle.drill) if known.cycle and known.cycle.drill else "",
    }


def resources(known: Known) -> dict[str, str]:
    """Say what the training was given and used."""
    used = known.trained.get("usage") or {}
    asked = known.model.compute if known.model else None
    return {
        "Asked for": f"{asked.workers} times {asked.cpu:g} CPU, {asked.memory_gb:g} GB, {asked.gpu} GPU"
        if asked
        else "",
        "Used": ", ".join(f"{name} {number(value)}" for name, value in sorted(used.items())),
    }


def moved_by(known: Known) -> Table:
    """Name the columns that moved predictions most."""
    shares = known.trained.get("importance") or {}
    rows = sorted(shares.items(), key=lambda one: (-one[1], one[0]))[:MOST]
    return Table("Columns that moved predictions most", ("column", "share"), [(n, number(v)) for n, v in rows])


def evaluation(known: Known) -> Table:
    """Say how good it was on rows that it never learnt from, beside the champion and the baseline."""
    own, live, base = (known.trained.get(name) or {} for name in ("metrics", "champion_metrics", "baseline_metrics"))
    rows = [(name, *(number(each.get(name)) for each in (own, live, base))) for name in sorted(own)]
    return Table("On rows that it never learnt from", ("metric", "this version", "champion then", "baseline"), rows)


def segments(known: Known) -> Table:
    """Say the same of each group."""
    found = known.trained.get("segments") or {}
    rows = [
        (column, value, str(segment.get("rows", "")), settings(segment.get("metrics") or {}))
        for column, groups in sorted(found.items())
        for value, segment in sorted(groups.items())
    ]
    return Table("By group", ("column", "group", "rows", "metrics"), rows)


def gates_table(known: Known) -> Table:
    """Say what each gate said, and who let one pass that failed."""
    readings = known.verdict.readings if known.verdict else ()
    rows = [
        (
            f"{one.gate} v{one.version}",
            number(one.value),
            number(one.bound),
            "passed" if one.passed else "failed",
            one.detail,
            one.overridden_by,
        )
        for one in readings
    ]
    return Table("Gates", ("gate", "value", "bound", "said", "detail", "overridden by"), rows)


def requirements(known: Known) -> Table:
    """Name what it needs where it is loaded."""
    lines = known.trained.get("requirements") or ()
    rows = [tuple(line.split("==", 1)) for line in lines]
    return Table("Needs where it is loaded", ("distribution", "version"), rows)


def _parity(said: Mapping[str, Any]) -> str:
    if not said:
        return ""
    return f"{said['why']}; largest difference {number(said['max_difference'])} in {said['rows']} rows"


def _live(details: Mapping[str, Any]) -> str:
    stable, candidate = ((details.get(side) or {}).get("version", "") for side in ("stable", "candidate"))
    return f"version {stable or 'none'} is stable" + (f", {candidate} gets {details['percent']} %" if candidate else "")
