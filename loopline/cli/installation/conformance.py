"""Command ``loopline conformance``: runs the conformance kits on the vendors that an environment binds."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer

if TYPE_CHECKING:
    from loopline.platform_core.contracts import Vendor
    from loopline.platform_core.testing.promised.conformance import Held, Promise


@click.command("conformance", cls=Command)
@click.option("--contract", "wanted", multiple=True, metavar="NAME", help="Only this one; may be given several times.")
def conformance(wanted: tuple[str, ...]) -> Answer:
    """Hold the vendors that the environment file binds to their contracts' promises, with the kits of their own tests.

    Each works on a place of its own in its real account, such as a folder or a prefix called loopline-kit-<time>, which
    is gone afterwards; what a killed run left is cleared away by the next one. Told is each promise: kept, broken, or
    not claimed by the vendor; and how often each method of the contract was called, for what that may cost. 'loopline
    plugin list' shows what the last run found. Ends with 1 when a promise is broken, or a kit could not run.
    """
    from loopline.platform_core import environment
    from loopline.platform_core.testing.parts import run_notes
    from loopline.platform_core.testing.promised import record
    from loopline.platform_core.testing.promised.conformance import hold

    home, file = environment.home(), environment.environment_file()
    names = _chosen(wanted)
    with _ended_by_signals(), progress("holding vendors to their promises") as said:
        cleared, stays = _clear_left()
        note = run_notes.Note(run_notes.new_name(), str(file), names, os.getpid())
        held: list[Held] = []
        with run_notes.noted(home, note) as problems:
            for contract in names:
                for vendor in _bound(contract).values():
                    held.append(hold(contract, vendor, note.name, said))
                    record.keep(home, held[-1], vendor)
            problems += [one.problem for one in held]
    well = all(one.well and not (wanted and one.left_out) for one in held) and not stays
    data = {"place": note.name, "held": held, "cleared": cleared, "left": stays, "well": well}
    return Answer(data, _text(note.name, held, cleared, stays), exit_code=0 if well else 1)


def _chosen(wanted: Sequence[str]) -> list[str]:
    """Return the contracts to look at, in the order of the environment's contracts.

    Raises:
        InvalidEnvironment: one is none, or is not bound.
    """
    from loopline.platform_core import environment
    from loopline.platform_core.contracts import CONTRACTS
    from loopline.platform_core.errors import InvalidEnvironment

    bound = [contract for contract in CONTRACTS if environment.binds(contract)]
    for name in wanted:
        if name not in bound:
            raise InvalidEnvironment(
                f"{environment.environment_file()} binds no contract {name!r}", f"bound are {', '.join(bound)}"
            )
    return [contract for contract in bound if not wanted or contract in wanted]


def _bound(contract: str) -> Mapping[str, Vendor]:
    from loopline.platform_core import environment

    read = environment.read(only=(contract,))
    return read.notifiers if contract == "notifier" else {contract: read.bindings[contract]}


def _clear_left() -> tuple[list[str], list[str]]:
    """Clear away what runs of this environment left that were killed; name what is left elsewhere, or stays."""
    from loopline.platform_core import environment
    from loopline.platform_core.errors import LooplineError, Unsupported
    from loopline.platform_core.testing.parts import run_notes

    cleared, stays = [], []
    for note in run_notes.left(environment.home()):
        if note.environment != str(environment.environment_file()):
            stays.append(f"{note.name}, of {note.environment}: run 'loopline conformance' on that file")
            continue
        try:
            for contract in note.contracts:
                for vendor in _bound(contract).values():
                    _clear(vendor, note.name)
        except LooplineError as error:
            if not isinstance(error, Unsupported):
                stays.append(f"{note.name}: {error}")
                continue
        run_notes.strike(environment.home(), note)
        cleared.append(note.name)
    return cleared, stays


def _clear(vendor: Vendor, name: str) -> None:
    from loopline.platform_core.errors import Unsupported

    try:
        with vendor.set_apart(name):
            pass
    except Unsupported:
        return


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Clean up before SIGTERM ends the process, as Ctrl-C lets it."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _text(name: str, held: Sequence[Held], cleared: Sequence[str], stays: Sequence[str]) -> str:
    lines = [f"place      {name}"]
    lines += [f"cleared    {one}, which a run left that was ended" for one in cleared]
    lines += [f"left       {one}" for one in stays]
    for one in held:
        lines += ["", *_lines(one)]
    return "\n".join(lines)


def _lines(held: Held) -> Iterator[str]:
    where = ", ".join(f"{name}: {value}" for name, value in held.place.items())
    yield click.style(f"{held.contract}  {held.vendor}", bold=True) + (f"  ({where})" if where else "")
    if held.left_out:
        yield f"  not run: {held.left_out}"
    if held.problem:
        yield f"  problem: {held.problem}"
    for promise in held.promises:
        yield from _promise(promise)
    if held.calls:
        counts = ", ".join(f"{method} {count}" for method, count in held.calls.items())
        yield f"  calls of the contract, of a service each one request or more: {counts}"


def _promise(promise: Promise) -> Iterator[str]:
    yield f"  {promise.number:>2}  {promise.verdict:<11}  {promise.words}"
    if promise.why:
        yield f"        {promise.why}"
    for tried in promise.tried:
        if tried.verdict != "kept":
            yield f"        {tried.verdict}: {tried.test}: {tried.says}"
            yield f"        {tried.where + ': ' if tried.where else ''}{tried.why}"
