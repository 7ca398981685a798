"""What decides a view's values is its meaning; how it is written is not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.features.registry.meaning import Meaning, differences, meaning_of
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation.names import online_view, view_table
from loopline.platform_core.specs.contracts.odcs import contract_of
from loopline.stories.registered_team import FIRST, SECOND
from tests.platform_core.ledgers import new_ledger

PLAIN = """
import narwhals as nw
RATE = 1.2

def gross(amount):
    return amount * RATE

def turnover(orders):
    return orders.select("customer", "ordered_at", gross=gross(nw.col("amount")))
"""
NUMBERS = count()
"""A module's name is used once: definitions are remembered by it."""
Means = Callable[[str], Meaning]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Leave PostgreSQL out: nothing is stored here."""
    return new_ledger(tmp_path)


@pytest.fixture
def means(shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Means:
    """Give a function that says what a view means whose module is this text."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def meaning(text: str, function: str = "turnover") -> Meaning:
        name = f"written_{next(NUMBERS)}"
        tmp_path.joinpath(f"{name}.py").write_text(text)
        view = replace(FIRST, compute=getattr(importlib.import_module(name), function))
        contract = contract_of(shop.team(view), view.source)
        return meaning_of(shop.platform, view, contract)

    yield meaning
    for name in [name for name in sys.modules if name.startswith("written_")]:
        sys.modules.pop(name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("turnover", "turnover_1"),
        ("def turnover(orders):\n", 'def turnover(orders):\n    """Say it."""\n    # and why\n\n'),
        ("def gross(amount):\n", 'def gross(amount):\n    "Say it."\n'),
        ('select("customer", "ordered_at", ', "select(\n        'customer',  # who\n        'ordered_at',\n        "),
        ("def turnover", "def same(function):\n    return function\n\n@same\ndef turnover"),
        ("import narwhals as nw\n", "import narwhals as nw\nUNUSED = 7\n"),
    ],
    ids=["its name", "comments", "a helper's docstring", "layout", "decorators", "what it does not name"],
)
def test_how_it_is_written_is_no_meaning(means, old, new):
    """Comments, docstrings, layout, decorators, neighbours and its name may change: an old version may be kept."""
    assert old in PLAIN
    text = PLAIN.replace(old, new)
    assert means(text, "turnover_1" if "turnover_1" in text else "turnover").hash == means(PLAIN).hash


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1.2", "1.25", "its code changed (RATE)"),
        ("amount * RATE", "amount + RATE", "its code changed (gross)"),
        ('gross(nw.col("amount"))', 'gross(nw.col("amount") - 1)', "its code changed (its function)"),
        ("gross=gross", "net=gross", "feature 'gross' is gone, feature 'net' is new, its code changed (its function)"),
    ],
)
def test_code_that_decides_values_is_named(means, old, new, said):
    """A constant or a helper counts as the function itself does."""
    before, after = means(PLAIN), means(PLAIN.replace(old, new))
    assert ", ".join(differences(before, after)) == said
    assert before.hash != after.hash


def test_the_order_of_features_is_meant(means):
    """Values are stored online in this order."""
    both = PLAIN.replace('ordered_at", gross=gross(nw.col("amount")))', 'ordered_at", gross="amount", other="article")')
    before, after = (
        means(both),
        means(both.replace('gross="amount", other="article"', 'other="article", gross="amount"')),
    )
    assert differences(before, after) == ["its features come in another order", "its code changed (its function)"]


def test_code_kept_by_another_python_is_read_anew(means):
    """Releases write the same code in different ways: quotes within f-strings, parentheses."""
    now = means(PLAIN)
    then = replace(now, code=tuple(text.replace("amount * RATE", "(amount) * (RATE)") for text in now.code))
    assert then.hash != now.hash
    assert differences(then, now) == []


def test_a_function_without_source_is_known_by_its_code(means):
    """Made at run time, it is still told from another one."""
    text = PLAIN + '\nexec(\'def made(orders):\\n    return orders.select("customer", "ordered_at", x="amount")\')\n'
    one, two = means(text, "made"), means(text.replace('x="amount"', 'x="customer"'), "made")
    assert differences(one, means(text, "made")) == []
    assert "its code changed (its function)" in differences(one, two)


def test_names_of_versions():
    """As people write them, as tables and as the online store does; what is no view's name is none."""
    ref = ViewRef.parse("shop/spending@2")
    assert ref == ("shop", "spending", 2)
    assert str(ref) == "shop/spending@2"
    assert ViewRef.of_table(view_table("shop", SECOND)) == ViewRef.of_online(online_view("shop", SECOND)) == ref
    assert (ref.table, ref.online) == (view_table("shop", SECOND), online_view("shop", SECOND))
    assert ViewRef.of_table("shop/raw/orders") is None
    for wrong in ("spending@2", "shop/spending", "shop/spending@0", "shop/spending@x", "shop/spending@12345678901"):
        with pytest.raises(BadRequest, match="names no version of a view"):
            ViewRef.parse(wrong)
