"""The team's package as a whole: what it holds, what it needs, how small it is."""

from __future__ import annotations

import hashlib
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
import retail
from retail.fit import boosted_trees

from loopline.platform_core.specs import Examples, Pruned
from loopline.platform_core.specs.contracts.odcs import read_contract

FOLDER = Path(retail.__file__).parent


def examples(seed: int) -> Examples:
    """Draw rows whose label follows a number, with a category beside it."""
    random = np.random.default_rng(seed)
    x = np.column_stack([random.normal(size=600), random.integers(-1, 3, 600)])
    y = (x[:, 0] + random.normal(size=600) > 1).astype(float)
    return Examples(x, y, ("size", "kind"), {"kind": ("a", "b", "c")})


def test_the_contract_reads() -> None:
    """Each column of the file has a name and a type; a line without customer or price breaks it."""
    contract = read_contract(FOLDER / "contracts" / "orders.v2.yaml")
    assert [column.physical_name for column in contract.columns][-2:] == ["Customer ID", "Country"]
    assert {"customer_id.required", "price.exclusive_minimum", "invoiced_at.parsable"} <= {
        r.name for r in contract.rules
    }


def test_the_data_is_what_was_published() -> None:
    """The file is unchanged, and its licence travels with it."""
    digest = hashlib.sha256((FOLDER / "data" / "online_retail.csv.xz").read_bytes()).hexdigest()
    licence = (FOLDER / "data" / "LICENSE.md").read_text()
    assert digest in licence
    assert "CC BY 4.0" in licence
    assert "CC-BY-4.0" in distribution("loopline-retail").metadata["License-Expression"]


def test_the_same_rows_fit_the_same_trees() -> None:
    """Two fits agree to the last bit, and the trees have learnt something."""
    train, valid = examples(1), examples(2)
    one, two = (boosted_trees(train, valid, {"learning_rate": 0.1}, lambda _step, _score: None) for _ in range(2))
    assert np.array_equal(one.predict_proba(valid.x), two.predict_proba(valid.x))
    assert one.predict_proba(valid.x)[valid.y == 1, 1].mean() > one.predict_proba(valid.x)[valid.y == 0, 1].mean() + 0.2


def test_the_search_hears_every_tenth_round() -> None:
    """Scores on the validation rows come by rounds, and a pruned trial ends at once."""
    heard: list[tuple[int, float]] = []

    def report(step: int, score: float) -> None:
        heard.append((step, score))
        if step == 20:
            raise Pruned

    with pytest.raises(Pruned):
        boosted_trees(examples(1), examples(2), {}, report)
    assert [step for step, _ in heard] == [10, 20]
    assert all(0.6 < score < 1 for _, score in heard)
