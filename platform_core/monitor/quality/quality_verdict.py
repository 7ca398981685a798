"""Quality verdict: whether the live version still passes its quality and fairness rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.metrics.metric import said
from loopline.platform_core.monitor.quality import fairness_verdicts, quality_figures
from loopline.platform_core.specs.judges.gates import AtLeast, AtMost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.quality.quality_figures import Measured
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model


class Finding(NamedTuple):
    """A verdict, and why."""

    passed: bool
    reason: str


def good_enough(platform: Platform, ref: ModelRef, model: Model) -> Finding:
    """Hold the newest figures of the stable version, realised and estimated, against its gates with a bound.

    Only an interval that lies wholly beyond a bound counts.
    """
    own = _own(platform, ref)
    pairs = [
        (gate, m)
        for gate in model.gates
        if isinstance(gate, AtLeast | AtMost)
        for is_estimate in (False, True)
        if (m := _newest(own, gate.metric, is_estimate=is_estimate))
    ]
    beyond = [_gate_sentence(gate, m) for gate, m in pairs if _is_beyond(gate, m)]
    return Finding(
        not beyond, "; ".join(beyond or [_gate_sentence(gate, m) for gate, m in pairs]) or "nothing is known yet"
    )


def fair_enough(platform: Platform, ref: ModelRef) -> Finding:
    """Read the newest verdict of each fairness rule on the stable version."""
    stable = _stable(platform, ref)
    newest = {(f.column, f.metric): f for f in fairness_verdicts.history(platform, ref) if f.version == stable}.values()
    unfair = [f.reason for f in newest if f.verdict == "unfair"]
    return Finding(not unfair, "; ".join(unfair or [f.reason for f in newest]) or "nothing is known yet")


def newest(platform: Platform, ref: ModelRef) -> dict[str, float]:
    """Return each figure of the live version's newest windows, estimated and realised, and the share of labels."""
    own = _own(platform, ref)
    last = {(m.metric, m.estimated): m for m in own}  # oldest window first
    named = {f"{metric}_{'estimated' if guess else 'realised'}": m.value for (metric, guess), m in last.items()}
    real = next((m for m in reversed(own) if not m.estimated), None)
    return named | ({"labelled_share": real.labelled / real.rows} if real and real.rows else {})


def _own(platform: Platform, ref: ModelRef) -> list[Measured]:
    """Return the figures of the stable version over all rows, oldest window first."""
    stable = _stable(platform, ref)
    return [m for m in quality_figures.history(platform, ref) if m.version == stable and not m.segment]


def _stable(platform: Platform, ref: ModelRef) -> str | None:
    current = deployment(platform.ledger, ref)
    return current.stable.version if current and current.stable else None


def _newest(own: Sequence[Measured], metric: str, *, is_estimate: bool) -> Measured | None:
    return next((m for m in reversed(own) if (m.metric, m.estimated) == (metric, is_estimate)), None)


def _is_beyond(gate: AtLeast | AtMost, m: Measured) -> bool:
    return m.high < gate.bound if isinstance(gate, AtLeast) else m.low > gate.bound


def _gate_sentence(gate: AtLeast | AtMost, m: Measured) -> str:
    kind = "estimated" if m.estimated else "realised"
    rows = f"{m.rows} rows" if m.estimated else f"{m.labelled} labels of {m.rows} rows"
    value, low, high = said(m.value, m.low, m.high)
    return (
        f"{kind} {m.metric} of version {m.version}, {m.since:%Y-%m-%d} to {m.until:%Y-%m-%d}: {value} "
        f"({low} to {high}, {rows}), {gate.bound:g} is asked for"
    )
