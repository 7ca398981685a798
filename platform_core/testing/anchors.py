"""Conformance kit of anchor stores: subclass ``AnchorsKit`` and give ``anchors``, an empty one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from loopline.platform_core.contracts.anchors import Anchors
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Refused

CONTENT = bytes(range(256)) + "é\n".encode()


def _name(number: int, tenant: str = "acme") -> str:
    return f"{tenant}/{number:020d}"


class AnchorsKit:
    """Each test is one promise of ``contracts.anchors.Anchors``."""

    def test_1_what_was_put_is_read(self, anchors: Anchors) -> None:
        """To the byte; what was never put is told as not found."""
        anchors.put(_name(1), CONTENT)
        assert anchors.read(_name(1)) == CONTENT
        with pytest.raises(NotFound, match=_name(2)):
            anchors.read(_name(2))

    def test_2_a_name_is_written_once(self, anchors: Anchors) -> None:
        """Again the same is no trouble; another content is refused, and changes nothing."""
        anchors.put(_name(1), b"first")
        anchors.put(_name(1), b"first")
        with pytest.raises(Refused, match=_name(1)):
            anchors.put(_name(1), b"other")
        assert anchors.read(_name(1)) == b"first"

    def test_2_of_several_at_once_one_wins(self, anchors: Anchors) -> None:
        """Every other is refused, and the winner's content stands."""

        def put(number: int) -> bytes | None:
            try:
                anchors.put(_name(7), b"%d" % number * 1000)
            except Refused:
                return None
            return b"%d" % number * 1000

        with ThreadPoolExecutor(4) as pool:
            written = [one for one in pool.map(put, range(8)) if one]
        assert written == [anchors.read(_name(7))]

    def test_3_names_are_a_tenant_s_in_order(self, anchors: Anchors) -> None:
        """Also of tenants whose names begin alike, and of one that has none."""
        for name in (_name(10), _name(9), _name(100), _name(5, "acme-2")):
            anchors.put(name, b"x")
        assert anchors.names("acme") == [_name(9), _name(10), _name(100)]
        assert anchors.names("acme-2") == [_name(5, "acme-2")]
        assert anchors.names("nobody") == []

    def test_4_a_bad_name_touches_nothing(self, anchors: Anchors) -> None:
        """None leads out of the place, and none is written under another."""
        for name in (
            "",
            "acme",
            "../acme/" + "1" * 20,
            "acme/1",
            "/etc/" + "1" * 20,
            _name(1) + "\n",
            "a/b/" + "1" * 20,
        ):
            with pytest.raises(InvalidEnvironment, match="no name of an anchor"):
                anchors.put(name, b"x")
            with pytest.raises(InvalidEnvironment, match="no name of an anchor"):
                anchors.read(name)
        assert anchors.names("acme") == []
