"""``loopline doctor``: has this machine what its environment file needs?"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, table

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.platform_core.bindings import Revealing
    from loopline.platform_core.environment import Environment
    from loopline.platform_core.foundation.located_yaml import Located

OK, MISSING, NOTE = "ok", "missing", "note"
LEAST_FREE_BYTES = 2e9
"""Where less is free, a landing or a training soon fails for want of room."""
EXTRAS_OF_KEYS = {"access": "policies", "sign_in": "sign-in", "traces": "otel"}
"""What a file's keys need beside its vendors."""
GOES_ON_WITHOUT = frozenset({"drift_report"})
"""Contracts without whose vendor the loop turns all the same."""


@dataclass(frozen=True)
class Look:
    """What was looked at: ``state`` is ``ok``, ``missing``, or ``note`` where everything runs all the same."""

    what: str
    state: str
    found: str
    fix: str = ""


@click.command("doctor", cls=Command)
def doctor() -> Answer:
    """Look whether this machine has what the environment file needs, and name each gap with its fix.

    That is Python and its libraries, the extras of the vendors that are bound, the secrets that the file names (their
    store is asked for each), the home and its disk, and the ports of 'loopline up'. What teams declare is checked by
    'loopline validate', what a store keeps by 'loopline conformance'. Ends with 1 when anything is missing.
    """
    from loopline.platform_core import environment

    home = environment.home()
    with progress("looking"):
        looks = [
            python_look(sys.version_info[:3]),
            _libraries(),
            *_openmp(),
            *_environment(),
            *_home(home),
            *_ports(home),
        ]
    lacking = [look for look in looks if look.state == MISSING]
    rows = [(look.what, look.state, look.found + (f" → {look.fix}" if look.fix else "")) for look in looks]
    last = f"{len(lacking)} missing" if lacking else "nothing is missing"
    data = {"environment": environment.environment_file(), "well": not lacking, "looks": looks}
    return Answer(data, f"{table(rows)}\n{last}", exit_code=1 if lacking else 0)


def python_look(version: Sequence[int]) -> Look:
    """Hold a version of Python against those that are tested: a newer one is noted, an older one does not do."""
    prefix = "Programming Language :: Python :: 3."
    said = distribution("loopline").metadata.get_all("Classifier", [])
    tested = sorted(int(one.removeprefix(prefix)) for one in said if one.startswith(prefix))
    state = OK if version[1] in tested else NOTE if version[1] > tested[-1] else MISSING
    names = ", ".join(f"3.{minor}" for minor in tested)
    found = ".".join(map(str, version))
    return Look("Python", state, found, "" if state == OK else f"make the environment with one that is tested: {names}")


def _libraries() -> Look:
    lacking = list(lacked(distribution("loopline"), ""))
    if lacking:
        return Look("libraries", MISSING, "; ".join(lacking), "pip install --upgrade loopline")
    return Look("libraries", OK, "all of Loopline's own")


def _openmp() -> Iterator[Look]:
    """Look for what LightGBM is linked with and no wheel brings."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError as error:
        yield Look("OpenMP", MISSING, f"{error}", "install libgomp1 (Debian, Ubuntu) or libgomp (Fedora)")
    else:
        yield Look("OpenMP", OK, "libgomp.so.1")


def _environment() -> Iterator[Look]:
    from loopline.platform_core import environment, sites
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.foundation.located_yaml import load

    try:
        bound = environment.read()
        document = sites.laid(load(bound.path), sites.here())
    except LooplineError as error:
        yield Look("environment", MISSING, error.problem, error.fix)
        return
    yield Look("environment", OK, f"{bound.name} ({bound.path})")
    yield from _extras(document, bound)
    if bound.revealing is not None:
        yield from _secrets(document, bound.revealing)


def _extras(document: Located, bound: Environment) -> Iterator[Look]:
    """Look for the distributions of each extra without which a bound vendor, or what a key asks for, does nothing."""
    from loopline.platform_core.environment import vendors
    from loopline.platform_core.errors import LooplineError

    for contract, name in _bound(document):
        if point := vendors(contract).get(name):  # a name may be a variable's
            state = NOTE if contract in GOES_ON_WITHOUT else MISSING
            for extra in point.load().extras:
                yield _extra(f"{contract}: {name}", point.dist or distribution("loopline"), extra, state)
    for key, extra in EXTRAS_OF_KEYS.items():
        if getattr(bound, key):
            yield _extra(key, distribution("loopline"), extra, MISSING)
    with suppress(LooplineError):  # of a secret that is not there: that is told by itself
        if str(bound.revealed("ledger")).startswith("postgresql"):
            yield _extra("ledger", distribution("loopline"), "postgres", MISSING)


def _bound(document: Located) -> Iterator[tuple[str, str]]:
    """Yield each contract with the name of a vendor that the file binds."""
    from loopline.platform_core.contracts import SEVERAL

    for contract, settings in (document.data.get("bindings") or {}).items():
        yield contract, str(settings["vendor"])
    for contract, key in SEVERAL.items():
        for settings in (document.data.get(key) or {}).values():
            yield contract, str(settings["vendor"])


def _extra(what: str, of: Distribution, extra: str, state: str) -> Look:
    lacking = list(lacked(of, extra))
    name = f"{of.name}[{extra}]"
    if lacking:
        return Look(what, state, f"the extra {extra!r}: {'; '.join(lacking)}", f"pip install '{name}'")
    return Look(what, OK, name)


def lacked(of: Distribution, extra: str) -> Iterator[str]:
    """Yield what a distribution requires for an extra, "" for itself, and is not installed so."""
    for line in of.requires or ():
        wanted = Requirement(line)
        holds = wanted.marker is None or wanted.marker.evaluate({"extra": extra})
        if not holds or (extra and (wanted.marker is None or wanted.marker.evaluate({"extra": ""}))):
            continue
        if canonicalize_name(wanted.name) == canonicalize_name(of.name):
            for other in wanted.extras:
                yield from lacked(of, other)
            continue
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError:
            yield f"{wanted.name} is not installed"
            continue
        if not wanted.specifier.contains(found.version, prereleases=True):
            yield f"{wanted.name} {found.version} is installed, {wanted.specifier} is asked for"


def _secrets(document: Located, revealing: Revealing) -> Iterator[Look]:
    """Ask for each secret that the file names, once; what it is is not told."""
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.foundation.credentials import placed, references

    named = sorted({one for _, text in placed(document.data) for one in references(text)}, key=str)
    for reference in named:
        try:
            revealing.store().held(reference.name).pick(reference.field)
        except LooplineError as error:
            yield Look(str(reference), MISSING, error.problem, error.fix)
        else:
            yield Look(str(reference), OK, "is there")


def _home(home: Path) -> Iterator[Look]:
    """Look at the home, or at the folder in which it would be made."""
    folder = next(one for one in (home, *home.parents) if one.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        fix = "let this user write there, or choose another folder with --home"
        yield Look("home", MISSING, f"nothing can be kept in {home}", fix)
        return
    yield Look("home", OK, str(home))
    free = shutil.disk_usage(folder).free
    enough = free >= LEAST_FREE_BYTES
    fix = "" if enough else "make room, or choose a folder on another disk with --home"
    yield Look("disk", OK if enough else MISSING, f"{free / 1e9:.1f} GB are free", fix)


def _ports(home: Path) -> Iterator[Look]:
    """Look whether the ports are free that 'loopline up' takes first; where one is not, it takes one of the next."""
    from loopline.platform_core.errors import NotFound
    from loopline.up import lock, running
    from loopline.up.ports import free_port

    with suppress(NotFound, NotADirectoryError):
        lock.announced(home)
        yield Look("ports", OK, f"'loopline up' runs in {home}")
        return
    inference = int(os.environ.get(running.INFERENCE_PORT, running.DEFAULT_INFERENCE_PORT))
    wanted = {
        "inference server": (inference, f"set {running.INFERENCE_PORT} to another one"),
        "features": (running.FEATURES_PORT, ""),
        "portal": (running.PORTAL_PORT, ""),
        "Dagster": (running.Options().port, "give --port to 'loopline up'"),
    }
    for what, (port, other) in wanted.items():
        if free_port(port) == port:
            yield Look(f"port of {what}", OK, str(port))
        else:
            fix = "end what listens there" + (f", or {other}" if other else "")
            yield Look(f"port of {what}", NOTE, f"{port} is taken, 'loopline up' would take one of the next", fix)
