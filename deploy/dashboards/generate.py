"""Grafana's dashboards from the YAML files beside this one: ``python deploy/dashboards/generate.py`` writes their JSON.

A dashboard is rows of panels, a panel a few queries with a unit. Whoever looks chooses the data source.
"""
# ruff: noqa: INP001 - run, not imported

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SCHEMA = 39
"""Version of Grafana's dashboard model (Grafana 10.4 and later read it)."""
WIDTH, HEIGHT = 24, {"stat": 4}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, AMBER, RED = "green", "orange", "red"


@dataclass(frozen=True)
class Panel:
    """A graph or a number: ``queries`` are PromQL by how a line of it is called, ``unit`` is one of Grafana's.

    ``kind`` is ``timeseries``, ``stat`` or ``table``; ``amber`` and ``red`` are where it becomes a worry, and ``help``
    says what to make of it.
    """

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    help: str = ""
    width: int = 8
    amber: float | None = None
    red: float | None = None

    def to_json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return the panel at a place of the grid, 24 columns wide."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.help,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": HEIGHT.get(self.kind, 8)},
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
            "targets": [self._target(place, *query) for place, query in enumerate(self.queries.items())],
        }

    def _defaults(self) -> dict[str, Any]:
        bounds = [(None, GREEN), (self.amber, AMBER), (self.red, RED)]
        steps = [{"color": color, "value": at} for at, color in bounds if at is not None or color == GREEN]
        drawn = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}
        drawn |= {"thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"}}
        custom = {"custom": drawn} if self.kind == "timeseries" else {}
        return {"unit": self.unit, "thresholds": {"mode": "absolute", "steps": steps}, **custom}

    def _options(self) -> dict[str, Any]:
        if self.kind == "timeseries":
            legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        if self.kind == "stat":
            shown = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            return {"reduceOptions": shown, "colorMode": "value", "graphMode": "area"}
        return {"showHeader": True}

    def _target(self, place: int, legend: str, expr: str) -> dict[str, Any]:
        table = {"format": "table", "instant": True, "range": False} if self.kind == "table" else {"range": True}
        return {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": expr, "legendFormat": legend, **table}


@dataclass(frozen=True)
class Row:
    """A heading and its panels, from left to right, wrapped at the grid's width."""

    title: str
    panels: list[Panel]

    @classmethod
    def of(cls, title: str, panels: list[dict[str, Any]]) -> Row:
        """Read a row of YAML."""
        return cls(title, [Panel(**panel) for panel in panels])


@dataclass(frozen=True)
class Dashboard:
    """A page; ``variables`` are choices at the top: the values of a label of a metric, all of them at first."""

    uid: str
    title: str
    description: str
    rows: list[Row]
    variables: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Dashboard:
        """Read a file."""
        data = yaml.safe_load(path.read_text())
        return cls(**{**data, "rows": [Row.of(**row) for row in data["rows"]]})

    def to_json(self) -> dict[str, Any]:
        """Return Grafana's dashboard."""
        chosen = [_variable(name, *of) for name, of in self.variables.items()]
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["loopline"],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "1m",
            "time": {"from": "now-24h", "to": "now"},
            "timezone": "utc",
            "annotations": {"list": []},
            "links": [_others()],
            "templating": {"list": [_data_source(), *chosen]},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[dict[str, Any]]:
        number, y = 1, 0
        for row in self.rows:
            yield _heading(number, y, row.title)
            number, y, x, tallest = number + 1, y + 1, 0, 0
            for panel in row.panels:
                if x + panel.width > WIDTH:
                    x, y, tallest = 0, y + tallest, 0
                made = panel.to_json(number, x, y)
                number, x, tallest = number + 1, x + panel.width, max(tallest, made["gridPos"]["h"])
                yield made
            y += tallest


def _heading(number: int, y: int, title: str) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _variable(name: str, metric: str, label: str) -> dict[str, Any]:
    query = f"label_values({metric}, {label})"
    choice = {"includeAll": True, "allValue": ".*", "multi": True, "refresh": 2, "sort": 1}
    named = {"name": name, "label": name, "type": "query", "datasource": SOURCE}
    return named | {"query": {"query": query, "refId": name}, "definition": query, **choice}


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "label": "data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def _others() -> dict[str, Any]:
    return {"type": "dashboards", "title": "Loopline", "tags": ["loopline"], "asDropdown": True, "keepTime": True}


def written(path: Path) -> str:
    """Return the JSON of a dashboard's YAML file."""
    return json.dumps(Dashboard.read(path).to_json(), indent=2) + "\n"


def main() -> None:
    """Write every file."""
    for path in sorted(HERE.glob("*.yaml")):
        path.with_suffix(".json").write_text(written(path))


if __name__ == "__main__":
    main()
