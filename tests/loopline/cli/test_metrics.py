"""``loopline metrics``: the page that Prometheus scrapes, for who has no portal."""

from __future__ import annotations


def test_metrics_are_printed_as_prometheus_reads_them(world):
    """As text with help and types; as JSON line by line."""
    text = world.run("metrics").stdout
    assert "# TYPE loopline_cycles_closed_total counter" in text
    assert 'loopline_teams{state="loaded"}' in text
    lines = world.json("metrics")["metrics"]
    assert [line for line in text.splitlines() if "seconds" not in line] == [x for x in lines if "seconds" not in x]
