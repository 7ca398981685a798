"""Assets of raw data: a landing gives accepted rows and dead letters.

Their data version is the contract's: new rows are the daily business of whatever reads them, another contract is not.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from loopline.asset_defs.data_quality import quality_checks, quality_specs
from loopline.asset_defs.figures import figures
from loopline.asset_defs.keys import key
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.ingestion.landed import Landed
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.troubles import Troubles, troubles
from loopline.platform_core.ingestion.streams.streaming import Lag, lag
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team
from loopline.platform_core.specs.contracts.odcs import contract_of
from loopline.platform_core.specs.contracts.source import STREAM


def arrivals_spec(team: Team, source: Source) -> dg.AssetSpec:
    """Describe what arrives from outside, so that lineage begins at the file."""
    return dg.AssetSpec(
        key(team.name, "arrivals", source.name),
        group_name=team.name,
        description=source.description or _described(source),
        kinds={"arrivals"},
        metadata={"contract": source.contract, "arrives": source.arrives},
    )


def _described(source: Source) -> str:
    return f"Stream of {source.name}" if source.arrives == STREAM else f"Files of {source.name}, {source.arrives}"


def raw_assets(team: Team, source: Source) -> dg.AssetsDefinition:
    """Build the landing of a source: accepted rows and dead letters."""
    came = key(team.name, "arrivals", source.name)
    raw, dead = key(team.name, "raw", source.name), key(team.name, "dead_letters", source.name)

    @dg.multi_asset(
        name=f"{team.name}__land__{source.name}",
        specs=[
            dg.AssetSpec(raw, deps=[came], description=f"Accepted rows of {source.name}", kinds={"raw"}),
            dg.AssetSpec(
                dead, deps=[came], description="Rows that broke the contract, with reasons", kinds={"dead_letters"}
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec("contract", asset=raw, description="Rows and files keep the contract"),
            *quality_specs(raw),
        ],
        group_name=team.name,
    )
    @redacting
    def landing(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult[None]]:
        landed = land(platform, team, source)
        if source.arrives == STREAM:
            context.log_event(_observed(came, lag(platform, team, source)))
        checks = [
            _check(raw, landed, troubles(platform.ledger, team.name, source.name)),
            *quality_checks(platform, team, source, raw),
        ]
        rows_mean = dg.DataVersion(contract_of(team, source).version)
        yield dg.MaterializeResult(
            asset_key=raw, data_version=rows_mean, metadata=_metadata(landed), check_results=checks
        )
        yield dg.MaterializeResult(asset_key=dead, data_version=rows_mean, metadata=_letters(landed))

    return landing


def _observed(came: dg.AssetKey, found: Lag) -> dg.AssetObservation:
    """Tell what has come meanwhile: the lag of each partition behind the landing."""
    by_partition = {f"lag/{partition}": behind for partition, behind in found.behind.items()}
    return dg.AssetObservation(
        came, description="How far the landing is behind", metadata={"lag": found.total, **by_partition}
    )


def _metadata(landed: Landed) -> dict[str, dg.MetadataValue | int]:
    return {
        "dagster/row_count": landed.rows,
        "arrivals": landed.arrivals,
        "refused": len(landed.refused),
        "dead_letters": landed.dead,
        "dead_letters_by_reason": dg.MetadataValue.json(dict(landed.reasons)),
        "table_version": -1 if landed.version is None else landed.version,
    }


def _letters(landed: Landed) -> dict[str, Any]:
    return {"rows": landed.dead, "reasons": dict(landed.reasons), **figures(landed.reasons, "reason/")}


def _check(raw: dg.AssetKey, landed: Landed, standing: Troubles) -> dg.AssetCheckResult:
    """Judge by what stands, not by this landing alone: a refused file stays a failure until somebody acts."""
    share = landed.dead / max(landed.rows + landed.dead, 1)
    refused = [f"{r.name}: {r.problem} → {r.fix}" for r in standing.refused]
    many = [str(each) for each in standing.mostly_dead]
    return dg.AssetCheckResult(
        asset_key=raw,
        check_name="contract",
        passed=not refused and not many,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "dead_share": share,
            "refused": dg.MetadataValue.json(refused),
            "mostly_dead": dg.MetadataValue.json(many),
        },
    )
