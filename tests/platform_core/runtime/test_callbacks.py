"""Where a caller may have its answer posted."""

from __future__ import annotations

import json

import pytest

from loopline.deferred import callbacks
from loopline.platform_core.errors import BadRequest

HOSTS = ("127.0.0.1",)


def asked(url):
    """Read the parameter of a request that names a URL."""
    return callbacks.callback_of(json.dumps({"parameters": {"callback": url}}).encode(), None, HOSTS)


@pytest.mark.parametrize("letter", ["é", " ", "\n", "\x00", "\x7f"])
def test_a_url_that_no_request_can_carry_is_refused(letter):
    """It is told what to write instead; taken, it could never be posted to."""
    with pytest.raises(BadRequest, match="percent"):
        asked(f"http://127.0.0.1:9/a{letter}b")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/%C3%A9?a=b%20c", "https://127.0.0.1"])
def test_a_url_of_an_allowed_host_is_taken(url):
    """As it was given."""
    assert asked(url) == url


@pytest.mark.parametrize(("ago_seconds", "is_due"), [(0, False), (3.9, False), (4, True), (-86_400, True)])
def test_each_failure_doubles_the_delay(ago_seconds, is_due, monkeypatch):
    """After three it is four times the first one's; an attempt of a clock that was put right since holds up nothing."""
    monkeypatch.setattr(callbacks, "FIRST_DELAY_SECONDS", 1.0)
    assert callbacks.due(3, 1e6 - ago_seconds, 1e6) == is_due
    assert callbacks.due(0, 1e6, 1e6)
