"""Pairs of contracts that ``loopline contract diff`` compares: two files, or a file and its Git revision."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidSpec, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopline.platform_core.specs import Source, Team
    from loopline.platform_core.specs.contracts.contract_file import RowContract

VERSIONED = re.compile(r"(?P<stem>.+)\.v(?P<number>\d+)(?P<suffix>\.ya?ml)")
"""A contract file that carries its major version in its name."""


@dataclass(frozen=True)
class Pair:
    """An old and a new contract, and the team's source that they are about, where there is one.

    ``old`` is None when there was no such contract.
    """

    old: RowContract | None
    new: RowContract
    team: Team | None = None
    source: Source | None = None


def of_files(old: Path, new: Path, teams: Sequence[Team], named: bool) -> Iterator[Pair]:
    """Pair files for each source whose contract one of them is; in a team that was ``named``, a namesake will do."""
    from loopline.platform_core.specs.contracts.odcs import read_contract

    before, after = read_contract(old), read_contract(new)
    files = {old.resolve(), new.resolve()}
    every = [(team, source, team.folder / source.contract) for team in teams for source in team.sources]
    found = [(team, source) for team, source, file in every if file.resolve() in files]
    if named and not found:
        found = [(team, source) for team, source, file in every if read_contract(file).name == after.name]
    yield from (Pair(before, after, team, source) for team, source in found)
    if not found:
        yield Pair(before, after)


def of_revision(revision: str, team: Team) -> Iterator[Pair]:
    """Pair each contract of a team with its text at a revision of Git.

    Where a file was not there, the one with the next lower number in its name is taken (``orders.v1.yaml`` for
    ``orders.v2.yaml``).

    Raises:
        InvalidSpec: a contract is none, now or then.
    """
    from loopline.platform_core.specs.contracts.odcs import read_contract

    for source in team.sources:
        file = team.folder / source.contract
        yield Pair(_at(revision, file), read_contract(file), team, source)


def unknown(revision: str, team: Team) -> str:
    """Say why a team cannot be compared with a revision of Git; empty when it can."""
    done = _git(team.folder, "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}")
    why = done.stderr.strip() or "no such commit"
    return f"team {team.name}: Git knows no revision {revision!r} in {team.folder} ({why})" if done.returncode else ""


def _at(revision: str, file: Path) -> RowContract | None:
    for name in _names(file.name):
        shown = _git(file.parent, "show", f"{revision}:./{name}")
        if shown.returncode == 0:
            return _read(shown.stdout, f"{revision}:{file.with_name(name)}", name)
    return None


def _names(name: str) -> Iterator[str]:
    yield name
    found = VERSIONED.fullmatch(name)
    for number in range(int(found["number"]) - 1 if found else 0, 0, -1):
        yield VERSIONED.sub(rf"\g<stem>.v{number}\g<suffix>", name)


def _read(text: str, said: str, name: str) -> RowContract:
    """Read a text as the file that it was."""
    from loopline.platform_core.specs.contracts.odcs import read_contract

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_text(text, encoding="utf-8")
        try:
            return replace(read_contract(file), path=Path(said))
        except InvalidSpec as error:
            raise InvalidSpec(error.problem.replace(str(file), said), error.fix) from error


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - the program is fixed, and no shell is there to be misled
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - wherever this machine has it
            text=True,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise NotFound("Git is not installed", "install it, or name the files") from error
