"""A version's card, its file by Annex IV and its bill, from the ledger alone: the same of the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import jsonschema
import pytest

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry

REF = ModelRef("corner", "returns")
ANNEX = (
    "1. General description",
    "2. Elements of the AI system",
    "3. Monitoring, functioning and control",
    "4. Appropriateness of the performance metrics",
    "5. Risk management system (Article 9)",
    "6. Changes made through the lifecycle",
    "7. Harmonised standards applied",
    "8. EU declaration of conformity (Article 47)",
    "9. Evaluation of the performance",
)
PINS = {
    "training_set_id": "returns-20110301T1200-abc",
    "team": "corner",
    "model": "returns",
    "as_of": "2011-03-01T12:00:00+00:00",
    "tables": {"corner.orders.raw": 7},
    "spec_hash": "s" * 64,
    "row_hash": "r" * 64,
    "rows": 4000,
    "positives": 1200,
    "left_out": [],
}
TRAINED = {
    "version": "2",
    "metrics": {"roc_auc": 0.71},
    "champion_metrics": {"roc_auc": 0.69},
    "baseline_metrics": None,
    "segments": {"country": {"DE": {"rows": 20, "metrics": {"roc_auc": 0.7}}}},
    "params": {"rate": 0.1},
    "trials": {"run": 3, "pruned": 1, "best_score": 0.7},
    "importance": {"amount": 0.75, "country": 0.25},
    "package_kind": "lightgbm",
    "parity": {"rows": 2000, "max_difference": 0.0, "why": "lightgbm: answers as the estimator does"},
    "usage": {"cpu_seconds": 3.5},
    "requirements": ["lightgbm==4.6.0", "numpy==2.3.1"],
}


@pytest.fixture
def told(world):
    """Roll one version out, then one whose training and data are written down, which a person let pass a gate."""
    world.roll_out("first")
    world.later(48)
    version, cycle = world.open_cycle("second", passed=False)
    world.record(
        Entry(PINNED, world.now, *REF, cycle, details=PINS),
        Entry(REGISTERED, world.now, *REF, cycle, version, details=TRAINED),
    )
    reason = "a <b>sale</b> | begins"
    named = ("--version", version, "--gate", "AtLeast(roc_auc)", "--by", "bob", "--reason", reason)
    world.json("gate", "override", "returns", *named, "--deploy")
    return world


def test_a_card_says_what_is_known(told):
    """Data, gates, groups, who decided and why; what nobody declared is left to people.

    The same ledger gives the same text, to the byte, however often; another entry of the model makes another one.
    """
    text = told.run("model", "card", "returns", "2").stdout
    for said in (
        "# Model card: corner/returns, version 2",
        "- **Training set:** returns-20110301T1200-abc",
        "- **Rows:** 4,000",
        "| corner.orders.raw | 7 |",
        r"| roc\_auc | 0.71 | 0.69 |  |",
        "| country | DE | 20 |",
        "overridden by",
        "| bob |",
        "| lightgbm | 4.6.0 |",
        "- [ ] To be written: for what its predictions are meant",
    ):
        assert said in text, said
    assert "<b>" not in text.replace("\\<", "")
    assert r"a \<b\>sale\</b\> \| begins" in text
    first = [told.run("model", what, "returns", "2").stdout for what in ("card", "annex", "sbom")]
    told.later(24)
    assert [told.run("model", what, "returns", "2").stdout for what in ("card", "annex", "sbom")] == first
    told.json("rollback", "returns", "--by", "bob", "--reason", "enough")
    assert told.run("model", "card", "returns", "2").stdout != first[0]


def test_the_annex_has_the_annex_s_sections(told):
    """All nine in their order, as Markdown and JSON; what the platform cannot know is marked in each that asks it."""
    text = told.run("model", "annex", "returns", "2").stdout
    places = [text.index(f"## {title}") for title in ANNEX]
    assert places == sorted(places)
    found = told.json("model", "annex", "returns", "2")
    assert all(section["title"].startswith(title) for section, title in zip(found["sections"], ANNEX, strict=True))
    assert all(section["facts"] or section["tables"] or section["to_write"] for section in found["sections"])
    by_title = {section["title"][:2]: section for section in found["sections"]}
    assert all(by_title[f"{number}."]["to_write"] for number in (1, 2, 3, 4, 5, 7, 8, 9))
    gates = next(table for table in by_title["2."]["tables"] if table["title"] == "Gates")
    assert (gates["rows"][0]["said"], gates["rows"][0]["overridden by"]) == ("failed", "bob")


def test_the_bill_is_cyclonedx(told):
    """By the fields that its schema requires; a version of before has none."""
    bill = json.loads(told.run("model", "sbom", "returns", "2").stdout)
    jsonschema.validate(
        bill,
        {
            "required": ["bomFormat", "specVersion", "serialNumber", "version", "metadata", "components"],
            "properties": {
                "bomFormat": {"const": "CycloneDX"},
                "specVersion": {"const": "1.6"},
                "serialNumber": {"pattern": "^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
                "components": {"items": {"required": ["type", "name", "version", "purl"]}},
            },
        },
    )
    assert [one["purl"] for one in bill["components"]] == ["pkg:pypi/lightgbm@4.6.0", "pkg:pypi/numpy@2.3.1"]
    old = {name: value for name, value in TRAINED.items() if name != "requirements"}
    told.record(Entry(REGISTERED, datetime(2011, 1, 1, tzinfo=UTC), *REF, "old", "9", details=old))
    assert "before its requirements" in told.json("model", "sbom", "returns", "9", code=1)["problem"]
    assert "versions are" in told.json("model", "card", "returns", "77", code=1)["fix"]


def test_what_the_team_says_is_shown(told, monkeypatch):
    """Its use and its limits, in place of what was to be written."""
    from dataclasses import replace

    import corner_shop

    declared = replace(corner_shop.returns, intended_use="to plan staff", limits=("not for credit", "not for minors"))
    team = replace(
        corner_shop.team, models=tuple(declared if m.name == "returns" else m for m in corner_shop.team.models)
    )
    monkeypatch.setattr(corner_shop, "team", team)
    text = told.run("model", "card", "returns", "2").stdout
    assert "- **Intended use:** to plan staff" in text
    assert "| not for minors |" in text
    assert "Model(limits" not in text
