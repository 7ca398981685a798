"""The page about securing an endpoint shows settings that the vendor takes, and fields that the access log has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from loopline.resources.local.serving import LocalServing

PAGE = Path(__file__).parents[2] / "docs/how-to/secure-an-endpoint.md"


def blocks(language):
    """Return the page's blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_settings_are_the_vendors():
    """Every field that the page shows is one, and it shows every one of gateway and TLS."""
    shown = yaml.safe_load(blocks("yaml")[0])["serving"]
    assert shown.pop("vendor") == "local"
    bound = LocalServing(**shown)
    assert set(shown["tls"]) == set(type(bound.tls).model_fields)
    assert set(shown["gateway"]) == set(type(bound.gateway).model_fields)


def test_the_line_is_the_logs():
    """The example of a line has the fields of a line."""
    from loopline.gateway import access_log

    line = json.loads(blocks("json")[0])
    written = re.findall(r'^ +"(\w+)": ', Path(access_log.__file__).read_text(), re.MULTILINE)
    assert list(line) == written
