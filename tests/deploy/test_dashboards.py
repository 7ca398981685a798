"""Grafana's dashboards: their queries ask for what is there, and name no data source.

Grafana itself is not at hand: what is checked of the shape is what its documentation of the dashboard model says. That
the queries are PromQL is seen where a real Prometheus answers each (``test_prometheus.py``).
"""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy/dashboards"
FILES = sorted(FOLDER.glob("*.json"))
each = pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
_NAMED = re.compile(r"\b(?:up|loopline_\w+)\b")
_SELECTED = re.compile(r"\b(up|loopline_\w+)\{([^}]*)\}")
_GROUPED = re.compile(r"\b(?:by|on|without)\s*\(([^)]*)\)")
_CHOSEN = re.compile(r"\$\{?(\w+)\}?")
_SHOWN = re.compile(r"\{\{(\w+)\}\}")
GRAFANAS_OWN = {"__rate_interval", "__interval", "__range"}


def panels(file):
    """Return a dashboard's panels but its headings."""
    return [panel for panel in json.loads(file.read_text())["panels"] if panel["type"] != "row"]


def queries(file):
    """Return every (query, legend) of a dashboard."""
    return [(target["expr"], target["legendFormat"]) for panel in panels(file) for target in panel["targets"]]


def test_all_five_are_there():
    """One for each who looks: serving, the loop, data, drift and quality, the platform itself."""
    assert [file.stem for file in FILES] == ["data", "loop", "platform", "serving", "watch"]


@each
def test_the_json_is_what_its_yaml_says(file):
    """Nobody edits the JSON by hand."""
    generate = runpy.run_path(str(FOLDER / "generate.py"))
    assert file.read_text() == generate["written"](file.with_suffix(".yaml"))


@each
def test_every_metric_and_label_is_there(file, series):
    """A panel about a series that nobody writes stays empty for ever."""
    for expr, legend in queries(file):
        named = set(_NAMED.findall(expr))
        assert named, expr
        assert named <= set(series), expr
        for name, matchers in _SELECTED.findall(expr):
            assert {matcher.split("=")[0].rstrip("!~ ").strip() for matcher in matchers.split(",")} <= series[name], (
                expr
            )
        known = set.union(*(series[name] for name in named)) | {"le"}
        grouped = {label.strip() for labels in _GROUPED.findall(expr) for label in labels.split(",")}
        assert grouped <= known, expr
        shown = set(_SHOWN.findall(legend))
        assert shown <= (grouped or known), (expr, legend)
    for variable in json.loads(file.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            assert label in series[metric], variable


def test_nothing_that_is_told_is_shown_nowhere(series):
    """Whoever adds a metric puts it on a page."""
    shown = {name for file in FILES for expr, _ in queries(file) for name in _NAMED.findall(expr)}
    parts = re.compile(r"_(bucket|sum|count)$")
    assert {parts.sub("", name) for name in series} - {parts.sub("", name) for name in shown} == set()


@each
def test_no_data_source_is_named(file):
    """Whoever looks chooses it at the top; the same file serves every Prometheus."""
    dashboard = json.loads(file.read_text())
    (choice,) = [v for v in dashboard["templating"]["list"] if v["type"] == "datasource"]
    assert (choice["name"], choice["query"]) == ("datasource", "prometheus")

    def sources(value):
        if isinstance(value, dict):
            yield from ([value["datasource"]] if "datasource" in value else [])
            yield from (found for item in value.values() for found in sources(item))
        elif isinstance(value, list):
            yield from (found for item in value for found in sources(item))

    found = list(sources(dashboard))
    assert len(found) > len(panels(file))
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in found)


@each
def test_it_uses_only_variables_that_it_has(file):
    """And each that it has is used."""
    dashboard = json.loads(file.read_text())
    has = {variable["name"] for variable in dashboard["templating"]["list"]} - {"datasource"}
    used = {name for expr, _ in queries(file) for name in _CHOSEN.findall(expr)} - GRAFANAS_OWN
    assert used == has


@each
def test_the_shape_is_grafana_s(file):
    """Ids are unique, panels lie within 24 columns and do not overlap, kinds and thresholds are Grafana's."""
    dashboard = json.loads(file.read_text())
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time", "annotations"} <= set(dashboard)
    assert re.fullmatch(r"[a-z-]{1,40}", dashboard["uid"])
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len(set(numbers))
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels(file):
        assert panel["type"] in {"timeseries", "stat", "table"}
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters)) >= 1
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0] == {"color": "green", "value": None}
        values = [step["value"] for step in steps[1:]]
        assert values == sorted(values)


def test_every_dashboard_has_its_own_id_and_title():
    """Grafana keeps one a uid."""
    read = [json.loads(file.read_text()) for file in FILES]
    assert len({page["uid"] for page in read}) == len({page["title"] for page in read}) == len(FILES)


def test_the_provisioning_files_are_grafana_s():
    """A provider of files, and a Prometheus whose address the environment gives."""
    (provider,) = yaml.safe_load((FOLDER / "provisioning/dashboards/loopline.yaml").read_text())["providers"]
    assert provider["type"] == "file"
    assert Path(provider["options"]["path"]).is_absolute()
    (source,) = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "${LOOPLINE_PROMETHEUS}")
