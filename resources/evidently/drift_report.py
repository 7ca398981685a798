"""Drift report by Evidently 0.7: one HTML file, scripts and fonts inside it."""

from __future__ import annotations

import html
import importlib.util
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.drift_report import DriftReport
from loopline.platform_core.errors import Unsupported
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.resources.evidently import workspace
from loopline.resources.evidently.instead import instead, measurable
from loopline.resources.evidently.page_store import PageStore

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BODY = "<body>"


@dataclass(frozen=True)
class _Sides:
    """Sampled rows of both sides in the columns that can be compared, and why each other column cannot."""

    reference: pd.DataFrame
    current: pd.DataFrame
    categories: list[str]
    left_out: Mapping[str, str]


class EvidentlyDriftReport(DriftReport):
    """Evidently's data drift preset, held to the distances by which the platform's own monitor judges.

    Left to itself Evidently changes its tests with the number of reference rows, and two pages could not be compared.
    Texts are drawn by their number of words and vectors by their length; the page says so. With a ``workspace`` each
    window is a snapshot there, in a project named after the folder of its page. With a ``store``, a URL such as
    ``s3://bucket/reports``, page and figures (JSON) are kept there before the page is here; ``storage_options`` are
    those of the object store, and a link reads one for ``link_seconds``.
    """

    extras = ("evidently",)
    store: str = ""
    storage_options: dict[str, str] = Field(default_factory=dict)
    link_seconds: int = Field(default=3600, ge=1, le=604_800)
    _shelf: OneAProcess[PageStore] = PrivateAttr()

    def model_post_init(self, context: object) -> None:
        """Reach the store when first asked."""
        super().model_post_init(context)
        self._shelf = OneAProcess(lambda: PageStore(self.store, self.storage_options))

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:  # noqa: ARG002 - pages lie where they are asked for
        """Give one that keeps nothing elsewhere."""
        yield self.with_settings(workspace="", store="")

    def render(self, reference: pa.Table, current: pa.Table, page: Path, title: str) -> Path:
        """Draw a window against the reference; takes seconds, the first import of Evidently some more.

        Raises:
            Unsupported: Evidently is not installed.
        """
        _required()
        sides = _sides(measurable(_sampled(reference, self.max_rows)), measurable(_sampled(current, self.max_rows)))
        drawn, scores, figures = self._drawn(sides, page.parent.name, title)
        rows = f"reference: {_of(reference, self.max_rows)}, window: {_of(current, self.max_rows)}"
        head = _head(title, rows, scores, {**sides.left_out, **instead(reference)})
        draft = page.with_name(f".{page.name}.{os.getpid()}.tmp")
        draft.write_text(drawn.replace(_BODY, _BODY + head, 1), encoding="utf-8")
        try:
            if self.store:
                self._shelf.get().keep(page.parent.name, page.name, draft.read_bytes(), figures)
            return draft.replace(page)
        finally:
            draft.unlink(missing_ok=True)

    def kept(self, model: str) -> Sequence[str]:
        """List what the store has of a model."""
        return self._shelf.get().names(model) if self.store else ()

    def fetch(self, model: str, page: Path) -> bool:
        """Bring a page that another machine has drawn."""
        return bool(self.store) and self._shelf.get().fetch(model, page)

    def place(self, model: str, name: str) -> str:
        """Return the URL of a page in the store."""
        return f"{self.store.rstrip('/')}/{model}/{name}" if self.store else ""

    def link(self, model: str, name: str) -> str:
        """Sign a link to a page of the store."""
        return self._shelf.get().link(model, name, self.link_seconds) if self.store else super().link(model, name)

    def titles(self) -> list[str]:
        """Return the titles of the workspace's snapshots."""
        return workspace.titles(self.workspace) if self.workspace else []

    def browser(self, port: int) -> Sequence[str]:
        """Return the command that serves Evidently's own interface."""
        _required()
        return workspace.command(self.workspace, port) if self.workspace else super().browser(port)

    def _drawn(self, sides: _Sides, project: str, title: str) -> tuple[str, dict[str, float], str]:
        """Return Evidently's page, its score of each column, and all its figures as JSON."""
        if sides.reference.empty:
            return f"<!DOCTYPE html><html><head><meta charset='utf-8'></head>{_BODY}</body></html>", {}, "{}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about columns that do not vary, which the page shows as well
            snapshot = _snapshot(sides)
            page = snapshot.get_html_str(as_iframe=False)
        if self.workspace:
            workspace.keep(self.workspace, project, snapshot, title)
        found = [metric for metric in snapshot.dict()["metrics"] if "column" in metric["config"]]
        scores = {metric["config"]["column"]: float(metric["value"]) for metric in found}
        return page, scores, snapshot.json() if self.store else "{}"


def _required() -> None:
    """Look for Evidently, whose import alone takes seconds.

    Raises:
        Unsupported: it is not installed.
    """
    if importlib.util.find_spec("evidently") is None:
        raise Unsupported("Evidently is not installed, so no page is drawn", "pip install 'loopline[evidently]'")


def _sampled(table: pa.Table, max_rows: int) -> pa.Table:
    import numpy as np

    if table.num_rows <= max_rows:
        return table
    return table.take(np.sort(np.random.default_rng(0).choice(table.num_rows, max_rows, replace=False)))


def _of(table: pa.Table, max_rows: int) -> str:
    return f"{min(table.num_rows, max_rows)} of {table.num_rows} rows"


def _sides(reference: pa.Table, current: pa.Table) -> _Sides:
    import pandas as pd

    kept: dict[str, tuple[pd.Series[Any], pd.Series[Any]]] = {}
    left_out: dict[str, str] = {}
    for name in dict.fromkeys([*reference.column_names, *current.column_names]):
        sides = (_values(reference, name, current), _values(current, name, reference))
        empty = [where for where, side in zip(("the reference", "the window"), sides, strict=True) if side.empty]
        if empty:
            left_out[name] = f"no values in {' and '.join(empty)}"
        else:
            kept[name] = sides
    before, after = (pd.DataFrame({name: both[side] for name, both in kept.items()}) for side in (0, 1))
    return _Sides(before, after, [name for name, both in kept.items() if both[0].dtype == object], left_out)


def _values(table: pa.Table, name: str, other: pa.Table) -> pd.Series[Any]:
    """Return a column as float64 or text, as both sides allow; empty where it is missing or has no value."""
    import pandas as pd

    from loopline.platform_core.foundation.distance import LARGEST

    if name not in table.column_names:
        return pd.Series(dtype=float)
    column = table.column(name).to_pandas()
    if _is_number(table, name) and (name not in other.column_names or _is_number(other, name)):
        column = column.astype("float64").where(lambda values: values.abs() <= LARGEST)
    else:
        column = column.astype(object).where(column.notna(), None).map(lambda value: value and str(value))
    return column if column.notna().any() else column.iloc[:0]


def _is_number(table: pa.Table, name: str) -> bool:
    from pyarrow import types

    kind = table.schema.field(name).type
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind))


def _snapshot(sides: _Sides) -> Any:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numeric = [name for name in sides.reference.columns if name not in sides.categories]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=sides.categories)
    preset = DataDriftPreset(num_method="wasserstein", cat_method="jensenshannon")
    reference, current = (
        Dataset.from_pandas(frame, data_definition=definition) for frame in (sides.reference, sides.current)
    )
    return Report([preset]).run(current, reference)


def _head(title: str, rows: str, scores: Mapping[str, float], left_out: Mapping[str, str]) -> str:
    """Write what the page shows, of how many rows, and each column's score or why it has none."""
    lines = [_line(name, f"{score:.4f}", f' data-score="{score!r}"') for name, score in scores.items()]
    lines += [_line(name, why) for name, why in left_out.items()]
    return (
        f'<section style="font-family:sans-serif;margin:1.5em"><h1>{html.escape(title)}</h1><p>{rows}</p>'
        "<table><tr><th align='left'>column</th><th align='left'>Wasserstein (normed) or Jensen-Shannon</th></tr>"
        f"{''.join(lines)}</table></section>"
    )


def _line(name: str, value: str, data: str = "") -> str:
    name = html.escape(name)
    return f'<tr data-column="{name}"{data}><td>{name}</td><td>{html.escape(value)}</td></tr>'
