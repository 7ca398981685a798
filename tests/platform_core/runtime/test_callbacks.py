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
