"""Asset checks of a source's data quality: the newest landing against earlier ones."""

from collections.abc import Iterator

import dagster as dg

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.ingestion.quality.quality import Quality, look
from loopline.platform_core.ingestion.quality.quality_bounds import CHECKS, ENOUGH, Finding
from loopline.platform_core.loop.sites import site_redaction
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team

DESCRIPTIONS = {
    "volume": "As many rows an arrival as usual",
    "nulls": "No column has more nulls than usual",
    "ranges": "Quartiles and extremes of numbers are as usual, and no columns are swapped",
    "categories": "Columns of few values have no more new ones than usual",
    "freshness": "The newest event is no older than usual",
}
SHOWN = 20
"""Findings in a check's metadata, the failed ones first; the table in the lake has all."""


def quality_specs(raw: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Describe the checks of a raw asset; none of them blocks."""
    return [dg.AssetCheckSpec(name, asset=raw, description=DESCRIPTIONS[name]) for name in CHECKS]


def quality_checks(platform: Platform, team: Team, source: Source, raw: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """Look at what landed and give every check its result; what has too little history passes, and says so.

    What landed has landed: when the look itself fails, that is a warning and holds nothing up.
    """
    try:
        quality, problem = look(platform, team, source), ""
    except LooplineError as error:
        quality, problem = Quality(None, ()), f"not looked at: {error}"
    for name in CHECKS:
        found = sorted((f for f in quality.findings if f.check == name), key=lambda f: f.passed)
        yield dg.AssetCheckResult(
            asset_key=raw,
            check_name=name,
            passed=not problem and all(finding.passed for finding in found),
            severity=dg.AssetCheckSeverity.WARN,
            description=_described(platform, problem, found),
            metadata={} if site_redaction.at_site(platform) else _metadata(quality, found),
        )


def _described(platform: Platform, problem: str, found: list[Finding]) -> str:
    """Say what was found; of a site's rows only which figures are not as usual, for extremes are values."""
    failed = [finding.name for finding in found if not finding.passed]
    if not site_redaction.at_site(platform):
        return problem or _summary(found)
    if problem:
        return site_redaction.told(platform, "what landed was not looked at", problem)
    return f"not as usual: {'; '.join(failed)}" if failed else _summary(found)


def _summary(found: list[Finding]) -> str:
    failed = [str(finding) for finding in found if not finding.passed]
    if failed:
        return "; ".join(failed)
    return (
        f"{len(found)} figures are as usual" if found else f"not judged: fewer than {ENOUGH} landings say what is usual"
    )


def _metadata(quality: Quality, found: list[Finding]) -> dict[str, dg.MetadataValue | float | int | str]:
    """Show the figure that matters (a failed one, else the first), its bounds, and the others as a table."""
    metadata: dict[str, dg.MetadataValue | float | int | str] = {}
    if quality.landing:
        metadata |= {"landed_at": quality.landing.landed_at.isoformat(), "rows": quality.landing.rows}
    if found:
        one = found[0]
        bounds = {"low": one.low, "high": one.high}
        metadata |= {"figure": f"{one.column} {one.what}".strip(), "value": one.value, "history": one.history}
        metadata |= {name: bound for name, bound in bounds.items() if bound is not None}
        metadata["figures"] = dg.MetadataValue.md("\n".join(f"- {finding}" for finding in found[:SHOWN]))
    return metadata
