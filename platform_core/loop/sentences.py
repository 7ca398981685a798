"""Ledger entries as sentences for people to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.clock import dates
from loopline.platform_core.loop.cycles.gates import GateReading
from loopline.platform_core.loop.cycles.quarantines import Window
from loopline.platform_core.loop.ledger.entry_kinds import described
from loopline.platform_core.loop.rollouts.quality_entries import metrics

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Entry

OBSERVED = (
    "drift.window",
    "drift.day",
    "quality.realised",
    "quality.drawn",
    "skew.checked",
    "alarm.told",
    "deployment.arrived",
    "endpoint.watched",
    "experiment.looked",
    "feature_view.materialized",
)
"""Kinds of what is looked at day after day; they hide what was decided, and are told when asked for."""


def tell(entry: Entry) -> str:
    """Say an entry in one line, with its time by the platform's clock."""
    return f"{entry.at:%Y-%m-%d %H:%M:%S} {sentence(entry)}"


def sentence(entry: Entry) -> str:
    """Say an entry without its time; a kind of a later release is told plainly."""
    return _SENTENCES.get(entry.kind, _plainly)(entry)


def _plainly(entry: Entry) -> str:
    version = f" version {entry.version}" if entry.version else ""
    who = f" by {entry.actor}" if entry.actor != "platform" else ""
    return f"{entry.kind}{version}{who}" + (f": {entry.reason}" if entry.reason else "")


def _opened(entry: Entry) -> str:
    return f"cycle {entry.cycle} opened: {entry.reason}"


def _closed(entry: Entry) -> str:
    return f"cycle {entry.cycle} {_words(entry.details['state'])} after {entry.details['hours']:.1f} h: {entry.reason}"


def _pinned(entry: Entry) -> str:
    left_out = [str(Window.from_json(window)) for window in entry.details.get("left_out", ())]
    without = f", without {'; '.join(left_out)}" if left_out else ""
    if entry.details.get("corrections"):
        count, how = entry.details["corrected_rows"], entry.details["corrections"]
        without += f"; rows with features corrected since: {count:,}, {how}"
    return f"training set pinned: {_counts({'rows': entry.details['rows'], **described(entry.details)})}{without}"


def _doubted(entry: Entry) -> str:
    if not entry.details["doubts"]:
        return f"data looked at: {entry.reason}"
    return f"{'held by its data' if entry.details['held'] else 'goes on, though its data is odd'}: {entry.reason}"


def _went_on(entry: Entry) -> str:
    return f"{entry.actor} lets it learn from odd data: {entry.reason}"


def _claimed(entry: Entry) -> str:
    return f"{entry.details['cpus']:g} CPUs and {entry.details['gpus']} GPUs claimed for the training"


def _quarantined(entry: Entry) -> str:
    window = Window.from_json(entry.details)
    done = "left out of training" if entry.kind == "data.quarantined" else "learnt from again"
    return f"{window} is {done}, by {entry.actor}: {entry.reason}"


def _registered(entry: Entry) -> str:
    return f"version {entry.version} registered: {_counts(entry.details.get('metrics', {}))}"


def _drawn(entry: Entry) -> str:
    titles = ", ".join(str(drawing.get("title")) for drawing in entry.details["drawings"])
    return f"version {entry.version} drawn beside its newest labels: {titles}"


def _judged(entry: Entry) -> str:
    readings = "; ".join(str(GateReading(**reading)) for reading in entry.details["readings"])
    verdict = "passed" if entry.details["passed"] else "did not pass"
    return f"version {entry.version} {verdict} its gates: {readings or 'it has none'}"


def _overridden(entry: Entry) -> str:
    return f"{entry.actor} overrode {entry.details['gate']} for version {entry.version}: {entry.reason}"


def _rollout(entry: Entry) -> str:
    details = entry.details
    who = f" by {entry.actor}" if entry.actor != "platform" else ""
    percent = f" to {details['percent']} percent" if entry.kind == "rollout.advanced" and "percent" in details else ""
    seen = [f"{side}: {_counts(details[side])}" for side in ("candidate", "stable") if details.get(side)]
    seen += [f"judged: {', '.join(map(_finding, details['findings']))}"] if details.get("findings") else []
    done = _words(entry.kind.removeprefix("rollout."))
    return f"rollout of version {entry.version} {done}{percent}{who}: {entry.reason}" + (
        f" [{'; '.join(seen)}]" if seen else ""
    )


def _wished(entry: Entry) -> str:
    details = entry.details
    commit = f"commit {details['commit'][:12]}" if details["commit"] else f"wish {details['digest']}"
    return f"{entry.actor} wished version {entry.version} by {commit}: {entry.reason}; so {details['said']}"


def _met(entry: Entry) -> str:
    return f"wish for version {entry.version} carried out: {entry.reason}"


def _finding(finding: Mapping[str, Any]) -> str:
    value = "nothing yet" if finding["value"] is None else _number(finding["value"])
    return f"{finding['judge']} {value} of {_number(finding['bound'])}"


def _changed(entry: Entry) -> str:
    details = entry.details
    sides = (details.get(side) for side in ("stable", "candidate", "shadow"))
    stable, candidate, shadow = (side and side["version"] for side in sides)
    live = f"version {stable} answers" if stable else "nothing answers"
    live += f", version {candidate} {details['percent']} percent" if candidate else ""
    live += f", version {shadow} in shadow" if shadow else ""
    back = f"taken back by {entry.actor}: " if details.get("back") else ""
    return f"{back}{live} (generation {details['generation']}): {entry.reason}"


def _frozen(entry: Entry) -> str:
    what = str((entry.team and f"{entry.team}/{entry.model}") or "everything")
    return f"{what} {entry.kind.removeprefix('loop.')} by {entry.actor}: {entry.reason}"


def _window(entry: Entry) -> str:
    details = entry.details
    verdict = details["verdict"]
    when = dates(verdict["since"], verdict["until"])
    window = f"window {details['number']} ({when})" if when else f"window {details['number']}"
    return f"{window} of version {entry.version}: {verdict['rows']:,} rows, {entry.reason}"


def _realised(entry: Entry) -> str:
    details = entry.details
    share = f"{details['labelled']:,} of {details['predictions']:,} answers labelled"
    return f"version {entry.version}: {share}, {_counts(metrics(details))}"


def _skew(entry: Entry) -> str:
    return f"skew of version {entry.version} {'passed' if entry.details['passed'] else 'did not pass'}: {entry.reason}"


def _arrived(entry: Entry) -> str:
    return f"the endpoint is at generation {entry.details['generation']}: version {entry.version} answers everywhere"


def _watched(entry: Entry) -> str:
    up, down = (entry.details[f"{side}_seconds"] for side in ("up", "down"))
    return f"the endpoint was seen ready for {up:,.0f} s and not ready for {down:,.0f} s"


def _raised(entry: Entry) -> str:
    return f"alarm {entry.details['cause']} ({entry.details.get('severity', 'error')}): {entry.reason}"


def _worse(entry: Entry) -> str:
    return f"alarm {entry.details['cause']} has got worse: {entry.reason}: {entry.details['problem']}"


def _cleared(entry: Entry) -> str:
    after = f" after {entry.details['minutes']} minutes" if "minutes" in entry.details else ""
    return f"alarm {entry.details['cause']} over{after}: {entry.reason}"


def _notified(entry: Entry) -> str:
    return f"{entry.details['notifier']} told: {entry.reason}"


def _silenced(entry: Entry) -> str:
    return f"nobody is told of {entry.details['cause']}: {entry.reason}"


def _acknowledged(entry: Entry) -> str:
    return f"{entry.actor} took on the alarm {entry.details['cause']}: {entry.reason}"


def _counts(numbers: Mapping[str, Any], names: tuple[str, ...] | None = None) -> str:
    """Write numbers as ``name value``."""
    chosen = {name: value for name, value in numbers.items() if names is None or name in names}
    return ", ".join(f"{_words(name)} {_number(value)}" for name, value in chosen.items())


def _number(value: Any) -> str:
    return (
        "none"
        if value is None
        else f"{value:.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def _experiment(entry: Entry) -> str:
    details = entry.details
    if entry.kind == "experiment.started":
        settled = details["settled"]
        sides = f"version {entry.version} beside {details['stable']}, {settled['percent']} percent of the entities"
        return f"experiment {settled['name']} started by {entry.actor}: {sides}: {entry.reason}"
    if entry.kind == "experiment.looked":
        return f"experiment of version {entry.version} looked at: {entry.reason}"
    does = {"promote": "its rollout goes on", "roll_back": "it is taken back", "hold": "a person decides"}
    follows = f"; {does[details['does']]}" if details["does"] in does else ""
    return f"experiment of version {entry.version} ended, {details['verdict']}{follows}: {entry.reason}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _arrival(entry: Entry) -> str:
    done = entry.kind.removeprefix("arrival.")
    return f"arrival {done} by {entry.actor} from {entry.details['source']}: {entry.reason}"


def _image(entry: Entry) -> str:
    done = {
        "image.started": "answers beside {before}",
        "image.passed": "passed",
        "image.promoted": "is in every server, in the place of {before}",
        "image.rolled_back": "is taken back to {before}" + (f" by {entry.actor}" if entry.actor != "platform" else ""),
    }[entry.kind]
    return f"image {entry.details['image']} {done.format(before=entry.details['before'])}: {entry.reason}"


_SENTENCES: dict[str, Callable[[Entry], str]] = {
    "arrival.withdrawn": _arrival,
    "arrival.restored": _arrival,
    "arrival.delivered_again": lambda entry: f"{entry.details['source']}: {entry.reason}",
    "landing.doubted": lambda entry: f"a landing of {entry.details['source']} is doubted: {entry.reason}",
    "landing.cleared": lambda entry: f"a landing of {entry.details['source']} is doubted no more: {entry.reason}",
    "cycle.opened": _opened,
    "cycle.closed": _closed,
    "quota.claimed": _claimed,
    "cycle.doubted": _doubted,
    "cycle.went_on": _went_on,
    "data.quarantined": _quarantined,
    "data.released": _quarantined,
    "training_set.pinned": _pinned,
    "model.registered": _registered,
    "quality.drawn": _drawn,
    "gate.judged": _judged,
    "gate.overridden": _overridden,
    "promotion.wished": _wished,
    "promotion.met": _met,
    "experiment.started": _experiment,
    "experiment.looked": _experiment,
    "experiment.ended": _experiment,
    "rollout.started": _rollout,
    "rollout.shadowed": _rollout,
    "rollout.advanced": _rollout,
    "rollout.held": _rollout,
    "rollout.resumed": _rollout,
    "rollout.promoted": _rollout,
    "rollout.watched": _rollout,
    "rollout.rolled_back": _rollout,
    "image.started": _image,
    "image.passed": _image,
    "image.promoted": _image,
    "image.rolled_back": _image,
    "deployment.changed": _changed,
    "deployment.arrived": _arrived,
    "endpoint.watched": _watched,
    "drift.window": _window,
    "quality.realised": _realised,
    "skew.checked": _skew,
    "alarm.raised": _raised,
    "alarm.worse": _worse,
    "alarm.cleared": _cleared,
    "alarm.told": _notified,
    "alarm.silenced": _silenced,
    "alarm.acknowledged": _acknowledged,
    "loop.frozen": _frozen,
    "loop.thawed": _frozen,
}
