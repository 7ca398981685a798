"""Conformance run: runs a contract's kits on a bound vendor, without a test framework."""

from __future__ import annotations

import inspect
import linecache
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from unittest import SkipTest

from loopline.platform_core.contracts import CONTRACTS, Vendor
from loopline.platform_core.errors import LooplineError, Unsupported, one_line
from loopline.platform_core.testing.parts.tally import Tally
from loopline.platform_core.testing.promised import kits
from loopline.platform_core.testing.promised.promises import promises, tried_by

Verdict = Literal["kept", "broken", "not claimed", "not run"]
WORST: tuple[Verdict, ...] = ("broken", "not run", "not claimed", "kept")
AGAIN = "opened_anew"
"""The fixture that is the same vendor on the same data, as another process opens it."""
ELSEWHERE = "elsewhere"
"""The fixture that is the same vendor on a place with nothing in it."""


@dataclass(frozen=True)
class Tried:
    """What came of one test: its name, what it says, and why it was not kept, with ``file:line`` where it broke."""

    promise: int
    test: str
    says: str
    verdict: Verdict
    why: str = ""
    where: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Promise:
    """A promise of the contract, the worst that its tests showed, and each of them; or why there is none that runs."""

    number: int
    words: str
    verdict: Verdict
    tried: Sequence[Tried]
    why: str = ""


@dataclass
class Held:
    """A vendor held to a contract.

    ``place`` has the settings by which it was apart, ``calls`` how often each method was called. ``left_out`` says why
    its kits do not run on it, ``problem`` what hindered them or the cleaning up.
    """

    contract: str
    vendor: str
    place: Mapping[str, str] = field(default_factory=dict)
    promises: Sequence[Promise] = ()
    calls: Mapping[str, int] = field(default_factory=dict)
    left_out: str = ""
    problem: str = ""

    @property
    def well(self) -> bool:
        """Say that no promise is broken and nothing hindered; a kit that does not run here shows nothing."""
        return not self.problem and not any(promise.verdict == "broken" for promise in self.promises)


def hold(contract: str, vendor: Vendor, name: str, said: Callable[[str], None] = lambda _: None) -> Held:
    """Hold a vendor to its promises on a place called ``name``, which is gone afterwards.

    ``said`` is told what is tried. What hinders all of it, or the cleaning up, is in the answer's ``problem``.
    """
    held, tally = Held(contract, type(vendor).__name__), Tally()
    runnable = [kit for kit in kits.of(contract) if not kit.without]
    if not runnable:
        held.left_out = kits.of(contract)[0].without
        return held
    tried: list[Tried] = []
    try:
        with vendor.set_apart(name) as place:
            held.place = _differences(vendor, place)
            counted = tally(place, CONTRACTS[contract])
            for kit in runnable:
                tried += try_kit(kit, counted, said)
    except Unsupported as error:
        held.left_out = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a library raises, the other contracts are tried
        held.problem = str(error) if isinstance(error, LooplineError) else f"{type(error).__name__}: {one_line(error)}"
    held.promises, held.calls = _by_promise(contract, tried), tally.counts
    return held


def try_kit(kit: kits.Kit, vendor: Vendor, said: Callable[[str], None] = lambda _: None) -> Iterator[Tried]:
    """Run each test of a kit on a vendor that stands apart already."""
    kit_class = kit.load()
    for number, name, test in tried_by(kit_class):
        said(f"{kit.contract}: {name}")
        if kit.capability and kit.capability not in vendor.can:
            why = f"{type(vendor).__name__} does not claim {kit.capability}"
            yield Tried(number, name, _says(test), "not claimed", why)
            continue
        begun = time.monotonic()
        verdict, why, where = _outcome(kit, vendor, test)
        yield Tried(number, name, _says(test), verdict, why, where, round(time.monotonic() - begun, 3))


def _outcome(kit: kits.Kit, vendor: Vendor, test: Callable[..., None]) -> tuple[Verdict, str, str]:
    with ExitStack() as ends:
        try:
            fixtures = _fixtures(kit, vendor, ends)
            wanted = [name for name in inspect.signature(test).parameters if name != "self"]
            if missing := [name for name in wanted if name not in fixtures]:
                return "not run", f"{type(vendor).__name__} gives no {' and no '.join(missing)} (kit_fixtures)", ""
            test(kit.load()(), **{name: fixtures[name]() for name in wanted})
        except SkipTest as skipped:
            return "not claimed", str(skipped), ""
        except Unsupported as refused:
            return "not claimed", str(refused), ""
        except Exception as error:  # noqa: BLE001 - whatever a vendor's library raises breaks the promise
            return "broken", *_told(error)
    return "kept", "", ""


def _fixtures(kit: kits.Kit, vendor: Vendor, ends: ExitStack) -> dict[str, Callable[[], Any]]:
    def again() -> Vendor:
        other = vendor.with_settings()
        ends.callback(other.close)
        return other

    def empty() -> Vendor:
        return ends.enter_context(vendor.set_apart("elsewhere"))

    def folder() -> Path:
        return Path(ends.enter_context(TemporaryDirectory(prefix="loopline-kit-", ignore_cleanup_errors=True)))

    given = {name: lambda one=one: one for name, one in vendor.kit_fixtures().items()}
    return {**given, kit.fixture: lambda: vendor, AGAIN: again, ELSEWHERE: empty, "tmp_path": folder}


def _told(error: Exception) -> tuple[str, str]:
    """Return what broke in words, and where the kit saw it: the statement stands for an assertion without words."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).parent == Path(__file__).parent]
    seen = [frame for frame in ours if Path(frame.filename).name not in {"conformance.py", "expect.py", "tally.py"}]
    frame = (seen or list(frames))[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    if isinstance(error, LooplineError):
        return str(error), where
    if isinstance(error, AssertionError):
        return str(error) or _statement(frame), where
    return f"{type(error).__name__}: {one_line(error)}", where


def _statement(frame: traceback.FrameSummary) -> str:
    first = frame.lineno or 0
    lines = range(first, (frame.end_lineno or first) + 1)
    return one_line(" ".join(linecache.getline(frame.filename, number) for number in lines))


def _by_promise(contract: str, tried: Sequence[Tried]) -> list[Promise]:
    found, without = [], "; ".join(f"{kit.module}: {kit.without}" for kit in kits.of(contract) if kit.without)
    for number, words in promises(CONTRACTS[contract]).items() if tried else ():
        own = [one for one in tried if one.promise == number]
        verdict: Verdict = min((one.verdict for one in own), key=WORST.index, default="not run")
        found.append(Promise(number, words, verdict, own, "" if own else without))
    return found


def _differences(vendor: Vendor, place: Vendor) -> dict[str, str]:
    names = type(vendor).model_fields
    return {name: str(new) for name in names if (new := getattr(place, name)) != getattr(vendor, name)}


def _says(test: Callable[..., None]) -> str:
    return inspect.cleandoc(test.__doc__ or "").partition("\n")[0]
