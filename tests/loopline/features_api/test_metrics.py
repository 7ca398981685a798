"""What Prometheus scrapes of the feature service."""

from __future__ import annotations

import subprocess

from loopline.features_api.app import create_app
from loopline.stories.feature_shop import team
from tests.loopline.features_api.conftest import ONLINE, asked


def test_requests_are_counted_by_route_and_status(empty_shop):
    """A route has its path as it is written; whatever else is asked has none, so that no caller can make up series.

    Names, types, units and help are as Prometheus' own linter wants them.
    """
    app = create_app(empty_shop, [team])
    for body in (ONLINE, ONLINE, {"team": "nobody"}):
        asked(app, "POST", "/features/online", json=body)
    for path in ("/features/no%22body/x%0A", "/nowhere%22", "/health"):
        asked(app, "GET", path)
    app.state.serving = None
    asked(app, "GET", "/health")
    text = asked(app, "GET", "/metrics").text
    assert 'loopline_feature_requests_total{route="/features/online",status="200"} 2' in text
    assert 'loopline_feature_requests_total{route="/features/online",status="404"} 1' in text
    assert 'loopline_feature_request_seconds_count{route="/features/online"} 3' in text
    assert 'loopline_feature_requests_total{route="/features/{team}/{view}",status="400"} 1' in text
    assert 'loopline_feature_requests_total{route="/health",status="200"} 1' in text
    assert 'loopline_feature_requests_total{route="/health",status="500"} 1' in text
    assert 'loopline_feature_requests_total{route="",status="404"}' in text
    assert "nowhere" not in text
    assert "body" not in text
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
