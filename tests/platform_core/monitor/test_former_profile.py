"""A package and counts that a former release wrote are read, named and judged as they were then."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest

from loopline.platform_core.monitor.columns import AnyTally
from loopline.platform_core.monitor.profile import Profile
from loopline.platform_core.monitor.window import WindowProfile, judge

FORMER = Path(__file__).with_name("former")


def test_a_former_package_is_judged_as_it_was() -> None:
    """Every kind of column keeps its digest, its counts and its verdict, to the last words."""
    expected = json.loads(FORMER.joinpath("verdict.json").read_bytes())
    profile = Profile.load(FORMER)
    assert profile.digest == expected["digest"]
    encoded = zlib.decompress(FORMER.joinpath("tallies.msgpack.z").read_bytes())
    tallies = msgspec.msgpack.decode(encoded, type=dict[str, AnyTally])
    found = judge(profile, WindowProfile(profile.digest, 20, tallies)).columns
    for name, then in expected["columns"].items():
        now = asdict(found[name])
        assert {key: now[key] for key in then} == {key: pytest.approx(value) for key, value in then.items()}
