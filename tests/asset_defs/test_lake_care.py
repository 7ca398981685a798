"""The job that tidies a team's tables says what it did, and fails where it could not."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from loopline.asset_defs.lake_care import lake_job
from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.foundation.names import raw_table
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.stories.shop import Shop

AT_ONCE = {"ops": {"tidy_tables": {"config": {"older_than_days": 0}}}}


class BusyLake(InMemoryLake):
    """A lake that is always written by somebody else."""

    def tidy(self, table: str, keep: object, older_than: timedelta) -> object:  # type: ignore[override]
        """Give up."""
        raise CommitConflict(f"{table} is busy", "try again")


def shop_on(lake: InMemoryLake, folder: Path) -> Shop:
    """Open a shop with three batches of orders."""
    bindings = {"lake": lake, "registry": InMemoryRegistry()}
    bound = Environment("t", folder / "e.yaml", bindings, f"sqlite:///{folder}/l.db", folder / "clock", folder)
    shop = Shop(Platform(bound), Team("shop", folder))
    for hour in (1, 2, 3):
        shop.land((1, hour, hour, 1.0, "a"))
    return shop


def test_the_job_says_what_it_did(tmp_path: Path) -> None:
    """Tables, files before and after, and how many versions are pinned are metadata of its output."""
    shop = shop_on(InMemoryLake(), tmp_path)
    done = lake_job(shop.team).execute_in_process(resources={"platform": shop.platform}, run_config=AT_ONCE)
    (event,) = [e for e in done.events_for_node("tidy_tables") if e.event_type == dg.DagsterEventType.STEP_OUTPUT]
    said = {name: value.value for name, value in event.step_output_data.metadata.items()}
    assert said == {"tables": 1, "files_before": 3, "files_after": 1, "files_deleted": 2, "versions_pinned": 0}
    assert shop.platform.lake.read(raw_table("shop", "orders")).num_rows == 3


def test_the_job_fails_where_a_table_is_busy(tmp_path: Path) -> None:
    """Whoever watches runs sees that the lake was not tidied."""
    shop = shop_on(BusyLake(), tmp_path)
    with pytest.raises(dg.Failure, match=r"1 tables were not tidied.*is busy"):
        lake_job(shop.team).execute_in_process(resources={"platform": shop.platform})
