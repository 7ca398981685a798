"""``loopline doctor``: what this machine lacks for its environment file, each with its fix."""

from __future__ import annotations

import ast
import socket
from functools import cache
from importlib.metadata import distribution, entry_points, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from loopline.cli.installation import doctor

ROOT = Path(__file__).parents[3]
SHELF = """
from loopline.resources.polars.engine import PolarsEngine


class ShelfEngine(PolarsEngine):
    extras = ("wood",)
"""
WITHOUT_EXTRA = {"registry.mlflow", "event_source.http"}
"""Vendors that import what an extra brings, and do without it."""


def looks(world, code: int = 0, *more: str) -> dict[str, dict[str, str]]:
    """Return what the command saw, by what it looked at."""
    said = world.json("doctor", *more, code=code)
    assert said["well"] == (code == 0)
    return {look["what"]: look for look in said["looks"]}


def bind(world, old: str, new: str) -> None:
    """Change a line of the environment file."""
    text = world.environment.read_text()
    assert old in text
    world.environment.write_text(text.replace(old, new))


def test_a_machine_that_has_everything(world):
    """Each thing is named, and nothing is made in the home."""
    found = looks(world)
    assert {"Python", "libraries", "environment", "home", "disk", "drift_report: evidently"} <= found.keys()
    assert {look["state"] for look in found.values()} <= {"ok", "note"}
    assert not world.home.exists()
    assert "nothing is missing" in world.run("doctor").stdout


def test_an_extra_that_is_missing_or_too_old(world, install, tmp_path):
    """Of whatever distribution the vendor comes with, extras of extras too."""
    install("acme-shelf", "[loopline.vendors]\nengine.shelf = acme_shelf:ShelfEngine\n", acme_shelf=SHELF)
    with (tmp_path / "site-acme-shelf/acme-shelf-1.0.dist-info/METADATA").open("a") as metadata:
        metadata.write('Requires-Dist: no-such-library>=2; extra == "glue"\n')
        metadata.write('Requires-Dist: numpy<1; extra == "wood"\n')
        metadata.write('Requires-Dist: acme-shelf[glue]; extra == "wood"\n')
        metadata.write('Requires-Dist: nor-this; extra == "paint"\n')
        metadata.write('Requires-Dist: nor-this; sys_platform == "no-such-system" and extra == "wood"\n')
    bind(world, "engine: {vendor: polars}", "engine: {vendor: shelf}")
    look = looks(world, 1)["engine: shelf"]
    assert look["state"] == "missing"
    assert "no-such-library is not installed" in look["found"]
    assert ", <1 is asked for" in look["found"]
    assert "nor-this" not in look["found"]
    assert look["fix"] == "pip install 'acme-shelf[wood]'"


def test_a_secret_that_is_not_there(world, monkeypatch):
    """It is named, what it is does not show."""
    bind(world, "  engine:", "  secrets: {vendor: environment_variables}\n  engine:")
    bind(world, "clock:", 'ledger: "postgresql://loopline:secret://LEDGER_WORD@localhost/x"\nclock:')
    bind(world, "secret://LEDGER_WORD", "${secret://LEDGER_WORD}")
    look = looks(world, 1)["secret://LEDGER_WORD"]
    assert look["state"] == "missing"
    assert "LEDGER_WORD" in look["found"]
    assert look["fix"]
    monkeypatch.setenv("LEDGER_WORD", "open-sesame")
    found = looks(world)
    assert found["secret://LEDGER_WORD"]["state"] == "ok"
    assert found["ledger"]["found"] == "loopline[postgres]"
    assert "open-sesame" not in world.run("doctor").output


def test_an_environment_file_that_does_not_bind(world):
    """The error's own fix; the rest of the machine is looked at all the same."""
    bind(world, "vendor: polars", "vendor: polar")
    found = looks(world, 1)
    assert "no vendor 'polar' for engine" in found["environment"]["found"]
    assert "polars" in found["environment"]["fix"]
    assert found["home"]["state"] == "ok"


def test_a_home_in_which_nothing_can_be_kept(world, tmp_path):
    """A file stands in the way."""
    tmp_path.joinpath("file").touch()
    look = looks(world, 1, "--home", str(tmp_path / "file" / "home"))["home"]
    assert look["state"] == "missing"
    assert "--home" in look["fix"]


def test_a_full_disk(world, monkeypatch):
    """Less is free than is asked for."""
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 2**70)
    assert looks(world, 1)["disk"]["state"] == "missing"


def test_a_port_that_is_taken_is_no_gap(world, monkeypatch):
    """``loopline up`` takes the next one; who asks the old one is told where to look."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("LOOPLINE_INFERENCE_PORT", str(port))
        look = looks(world)["port of inference server"]
    assert look["state"] == "note"
    assert str(port) in look["found"]
    assert "LOOPLINE_INFERENCE_PORT" in look["fix"]


def test_a_python_that_is_older_or_newer_than_those_tested():
    """An older one is a gap, a newer one is noted."""
    states = [doctor.python_look((3, minor, 1)).state for minor in (10, 11, 13, 99)]
    assert states == ["missing", "ok", "ok", "note"]


@cache
def imports(module: str) -> frozenset[str]:
    """Return what a module of ours imports anywhere, modules and things in them; nothing of what is no module."""
    base = ROOT / module.removeprefix("loopline.").replace(".", "/")
    path = next((one for one in (base.with_suffix(".py"), base / "__init__.py") if one.exists()), None)
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path else ():
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return frozenset(names)


def libraries(module: str) -> set[str]:
    """Return the top packages that a vendor's module imports, by itself or by other modules of vendors."""
    seen, left = set[str](), {module}
    while left:
        seen |= left
        left = {name for one in left for name in imports(one) if name.startswith("loopline.resources.")} - seen
    return {name.split(".")[0] for one in seen for name in imports(one)} - {"loopline"}


def brought(extra: str) -> set[str]:
    """Return the distributions that an extra of ours names, "" for what comes without one."""
    found = set()
    for line in distribution("loopline").requires:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            found |= {canonicalize_name(wanted.name)}
            for other in wanted.extras if wanted.name == "loopline" else ():
                found |= brought(other)
    return found


@pytest.mark.parametrize("point", entry_points(group="loopline.vendors"), ids=lambda point: point.name)
def test_a_vendor_s_extras_bring_what_it_imports(point):
    """A vendor imports something of each extra that it names; one that names none needs what comes anyway."""
    if not point.value.startswith("loopline.resources."):
        pytest.skip("it comes with another distribution")
    named = packages_distributions()
    used = {canonicalize_name(one) for name in libraries(point.module) for one in named.get(name, ())}
    for extra in point.load().extras:
        assert used & (brought(extra) - brought("")), f"{point.name} imports nothing that {extra} brings"
    if not point.load().extras and point.name not in WITHOUT_EXTRA:
        every = {one for extra in distribution("loopline").metadata.get_all("Provides-Extra") for one in brought(extra)}
        assert not used & (every - brought("")) - {"pandas"}
