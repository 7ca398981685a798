"""The page about securing an endpoint shows settings that the vendor takes, and fields that the access log has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from loopline.resources.local.serving import LocalServing
from tests.docs.page import Page

PAGE = Page("how-to/secure-an-endpoint.md")


def test_the_settings_are_the_vendors():
    """Every field that the page shows is one, and it shows every one of gateway and TLS."""
    shown = yaml.safe_load(PAGE.blocks("yaml")[0])["serving"]
    assert shown.pop("vendor") == "local"
    bound = LocalServing(**shown)
    assert set(shown["tls"]) == set(type(bound.tls).model_fields)
    assert set(shown["gateway"]) == set(type(bound.gateway).model_fields)


def test_the_line_is_the_logs():
    """The example of a line has the fields of a line."""
    from loopline.gateway import access_log

    line = json.loads(PAGE.blocks("json")[0])
    written = re.findall(r'^ +"(\w+)": ', Path(access_log.__file__).read_text(), re.MULTILINE)
    assert list(line) == written
