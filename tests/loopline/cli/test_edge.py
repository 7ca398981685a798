"""``loopline model export-edge``: the live version goes into a folder, compared on the rows that it was trained on."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import ModelRef, online_view, raw_table
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity, ViewField
from loopline.platform_core.training import training_set
from loopline.platform_core.training.encode import matrix
from loopline.platform_core.training.packaging.package import package

REF = ModelRef("corner", "returns")
FEATURES = ("amount", "country")
ROWS = 600


@pytest.fixture
def trained(world: Any) -> Any:
    """Land sales, pin a training set, and let a version that was fitted on it be live."""
    import corner_shop

    world.later(24 * 40)
    platform, random = Platform.open(), np.random.default_rng(0)
    sold = pa.array([world.now - timedelta(hours=n + 1) for n in range(ROWS)], pa.timestamp("us", "UTC"))
    amount, country = random.gamma(2, 10, ROWS), random.choice(["DE", "FR"], ROWS).tolist()
    late = (amount > 20).astype(float)
    columns = {"customer_id": np.arange(ROWS), "sold_at": sold, "amount": amount, "country": country, "returned": late}
    own = {"_arrival": ["a"] * ROWS, "_line": np.arange(ROWS), "_arrived_at": sold, "_date": sold.cast(pa.date32())}
    platform.lake.append(raw_table("corner", "sales"), pa.table(columns | own))
    materialize(platform, corner_shop.team, corner_shop.customer_sales)
    world.later(1)
    pinned = training_set.build(platform, corner_shop.team, corner_shop.returns, world.now)
    vocabulary = {"country": ["DE", "FR"]}
    rows = training_set.rows(platform, corner_shop.team, corner_shop.returns, pinned)
    x = matrix({name: rows[name] for name in FEATURES}, FEATURES, vocabulary)
    fitted = lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1).fit(x, rows["label"].to_numpy())
    view = ViewField(online_view("corner", corner_shop.customer_sales), "customer_id", list(FEATURES), 30)
    fields = [FeatureField(name, "online", name == "country") for name in FEATURES]
    draft = Manifest(
        REF.dotted, "pickle", "", fields, [view], ["customer_id"], vocabulary, 0.5, pinned.training_set_id, "c1",
        Parity(0, 0.0, ""),
    )  # fmt: skip
    package(fitted, draft, x, world.home / "built")
    version = platform.registry.publish(Publication(REF.dotted, world.home / "built", None, pa.table({}))).version
    platform.ledger.record(Entry(PINNED, world.now, *REF, "c1", details=training_set.to_json(pinned)))
    platform.ledger.record(Entry(REGISTERED, world.now, *REF, "c1", version))
    served = Served(version, world.home / "built", "c1")
    change(platform, REF, served, None, 0, actor="t", reason="t", cycle="c1", now=world.now)
    platform.close()
    return world


def test_the_live_version_is_exported(trained: Any, tmp_path: Any) -> None:
    """Without a version it is the live one; the answer says on how many rows both forms were compared.

    Of one that is not there nothing is written, and it is named.
    """
    wrong = trained.run("model", "export-edge", "corner/returns", str(tmp_path / "till"), "--version", "9")
    assert wrong.exit_code == 1
    assert "version 9" in wrong.output
    assert not (tmp_path / "till").exists()
    done = trained.json("model", "export-edge", "corner/returns", str(tmp_path / "till"))
    assert (done["version"], done["rows"]) == ("1", ROWS)
    assert done["differ"] < 1e-5
    about = json.loads((tmp_path / "till/features.json").read_text())
    assert (about["version"], about["cycle"]) == ("1", "c1")
    assert sorted(path.name for path in (tmp_path / "till").iterdir()) == ["features.json", "model.onnx", "score.py"]


def test_nothing_is_live(world: Any, tmp_path: Any) -> None:
    """Whoever wants a version all the same is told how to name one."""
    done = world.run("model", "export-edge", "corner/returns", str(tmp_path / "till"))
    assert done.exit_code == 1
    assert "--version" in done.output
