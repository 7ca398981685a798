"""Entry points are read again where a distribution came or went, and not otherwise."""

from __future__ import annotations

import shutil
from importlib import metadata

from loopline.platform_core.foundation.distributions import entry_points

GROUP = "loopline.test_of_distributions"


def install(folder, name):
    """Write what pip leaves of a distribution."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(f"[{GROUP}]\n{name} = {name}:thing\n")


def names():
    """Return what is found."""
    return sorted(point.name for point in entry_points(group=GROUP))


def test_what_comes_and_goes_is_seen(tmp_path, monkeypatch):
    """On a folder of the path, whenever the path itself changed, or the folder."""
    install(tmp_path, "one")
    assert names() == []
    monkeypatch.syspath_prepend(tmp_path)
    assert names() == ["one"]
    install(tmp_path, "two")
    assert names() == ["one", "two"]
    shutil.rmtree(tmp_path / "one-1.0.dist-info")
    assert names() == ["two"]


def test_what_did_not_change_is_read_once(tmp_path, monkeypatch):
    """An environment file asks for the vendors of a dozen contracts."""
    install(tmp_path, "one")
    monkeypatch.syspath_prepend(tmp_path)
    asked = []
    real = metadata.entry_points
    monkeypatch.setattr(metadata, "entry_points", lambda: asked.append(1) or real())
    assert names() == names() == ["one"]
    assert len(asked) == 1
