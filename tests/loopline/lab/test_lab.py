"""The lab, and the notebook in ``docs``: its cells are run as Jupyter would, and its outputs are what they said.

``LOOPLINE_WRITE_NOTEBOOK=1`` in the environment writes the outputs anew.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import re
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopline import lab
from loopline.lab import sources
from loopline.platform_core.errors import InvalidSpec, NotFound, Refused
from loopline.specs import models_in

NOTEBOOK = Path(__file__).parents[3] / "docs" / "tutorials" / "a-notebook-on-the-platform.ipynb"
NUMBER = re.compile(r"\b[0-9a-f]{12}\b|-?\d[\d,.]*(e-?\d+)?")
MADE = "outcome_forest"


def shares(train, valid, params, report):
    """Say the share of positives, and a bit."""
    report(1, 0.5)
    return Shares(train.y.mean() + params.get("more", 0.0))


class Shares:
    """Says the same of each row."""

    def __init__(self, share: float) -> None:
        self.share = share

    def predict_proba(self, x):
        """Say it."""
        return np.tile([1 - self.share, self.share], (len(x), 1))


def test_rows_and_versions_are_what_training_had(home):
    """The set of the champion is the newest one; what it says of held-out rows has the metrics that it came with."""
    rows = home.lab.training_set("outcome")
    again = home.lab.training_set("shop/outcome", "champion")
    assert again.pinned == rows.pinned
    assert rows.to_polars().shape == (1_000, 8)
    champion = home.lab.version("shop/outcome")
    compared = home.lab.compare(rows, champion, home.lab.fit(rows, shares))
    found = compared.of("log_loss", 0).found
    assert found is not None
    assert found.value == pytest.approx(champion.metrics["log_loss"])
    worse = compared.of("log_loss").better
    assert worse is not None
    assert worse.high < 0
    assert "worse" in repr(compared)
    assert home.lab.fit(rows, shares, more=0.1).told == ((1, 0.5),)


def test_a_view_has_what_is_known_of_a_day(home):
    """A row an entity and event, without the platform's own columns."""
    frame = home.lab.view("customer_history", date(2026, 3, 1))
    assert set(frame.table["event_time"].cast("date32").to_pylist()) == {date(2026, 3, 1)}
    assert not [name for name in frame.table.column_names if name.startswith("_")]
    assert "<table>" in frame._repr_html_()
    assert len(home.lab.view("shop/customer_history", date(1999, 1, 1))) == 0


def test_what_is_not_there_is_said(home):
    """With what there is."""
    with pytest.raises(NotFound, match="0 views are called 'clicks' → views are shop/customer_history"):
        home.lab.view("clicks")
    with pytest.raises(NotFound, match="has no candidate → name a version: 1"):
        home.lab.version("outcome", "candidate")
    with pytest.raises(NotFound):
        home.lab.training_set("outcome", "7")
    with pytest.raises(InvalidSpec, match="nothing is to be compared"):
        home.lab.compare(home.lab.training_set("outcome"))


def test_what_cannot_be_written_is_refused_and_leaves_no_file(home):
    """A name, a folder, a parameter, a function that is not the same twice."""
    rows = home.lab.training_set("outcome")
    made, before = home.lab.fit(rows, shares), sorted(home.folder.rglob("*.py"))

    def closed(train, valid, params, report):
        return made

    wrong = home.lab.fit(rows, restless)
    for one, folder, name, said in [
        (made, home.folder, "Two Words", "is no name"),
        (made, home.folder, "outcome", "has a model 'outcome' already"),
        (made, home.folder.parent, "other", "does not hold the package of team shop"),
        (home.lab.fit(rows, shares, more=np.float32(0)), home.folder, "other", "parameter 'more'"),
        (wrong, home.folder, "other", "fits something else"),
    ]:
        with pytest.raises((InvalidSpec, Refused), match=said):
            one.package(folder, name)
    with pytest.raises(InvalidSpec, match="rests on variables around it: made"):
        sources.written(closed)
    assert sorted(home.folder.rglob("*.py")) == before


def restless(train, valid, params, report):
    """Say something else each time."""
    CALLS.append(1)
    return Shares(0.1 * len(CALLS))


CALLS: list[int] = []


def test_what_a_function_needs_goes_with_it():
    """Modules and names that were imported, constants, functions of the notebook; a value without text is named."""
    notebook = {"__name__": "__main__"}
    linecache.cache["<cell>"] = (len(CELL), None, CELL.splitlines(keepends=True), "<cell>")
    exec(compile(CELL, "<cell>", "exec"), notebook)
    found = sources.written(notebook["fit"])
    assert found.imports == ["from math import floor as down", "import numpy as np"]
    assert found.constants == ["RATE = 0.5"]
    assert list(found.functions) == ["helper", "fit"]
    with pytest.raises(InvalidSpec, match="'lock' is a lock of the notebook"):
        sources.written(notebook["locked"])


CELL = """
import threading
from math import floor as down
import numpy as np

RATE = 0.5
lock = threading.Lock()


def helper(x):
    return np.sqrt(x) * RATE


def fit(train, valid, params, report):
    train.lock = None
    return [helper(down(one)) for one in train]


def locked(train, valid, params, report):
    with lock:
        return train
"""


def test_the_notebook_is_what_happens(home, monkeypatch):
    """Cell by cell; the model that it writes is found by its team, with the gates of the one before."""
    monkeypatch.chdir(home.folder.parents[1])
    monkeypatch.setattr(lab, "open", lambda: home.lab)
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    said = [outputs(number, "".join(cell["source"]), namespace) for number, cell in enumerate(code, 1)]
    if os.environ.get("LOOPLINE_WRITE_NOTEBOOK"):
        for number, (cell, found) in enumerate(zip(code, said, strict=True), 1):
            cell.update(execution_count=number, outputs=found)
        NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for cell, found in zip(code, said, strict=True):
        assert plain(cell["outputs"]) == plain(found)
    found = {model.name: model for model in models_in("shop.models")}
    assert list(found) == ["outcome", MADE]
    assert found[MADE].gates == found["outcome"].gates
    assert found[MADE].fit.__module__ == f"shop.models.{MADE}"


def outputs(number: int, source: str, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell; gives what Jupyter keeps of it: the value of a last expression, as text and as HTML."""
    name = f"<cell {number}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # as IPython does
    body = ast.parse(source)
    last = body.body.pop() if body.body and isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, name, "exec"), namespace)
    value = eval(compile(ast.Expression(last.value), name, "eval"), namespace) if last else None
    if value is None:
        return []
    data = {"text/plain": repr(value).splitlines(keepends=True)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = [value._repr_html_()]
    return [{"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data}]


def plain(found: list[dict[str, Any]]) -> list[str]:
    """Return outputs as text without what another version of a library may change: numbers, and room for them."""
    told = ("".join(value) for one in found for value in one["data"].values())
    return [re.sub(r" +", " ", NUMBER.sub("#", text)) for text in told]


def test_the_notebook_needs_nothing_that_a_reader_has_not():
    """It imports Loopline and what a team of the template has; Jupyter is needed by nobody else."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    imported = {node.module.partition(".")[0] for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)}
    assert imported == {"loopline", "sklearn"}
    assert "IPython" not in sys.modules
