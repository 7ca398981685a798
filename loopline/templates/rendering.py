"""Renders a project from a template, and updates it to the newest version with local changes kept."""

from __future__ import annotations

import contextlib
import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopline.platform_core import targets
from loopline.platform_core.errors import InvalidSpec, NotFound, Refused
from loopline.templates import repositories
from loopline.templates.apart import apart, commit

ANSWERS = "template.yml"
"""File (or its ending) that says, beside the code, which template made it, in which version and with which answers."""


@dataclass(frozen=True)
class Made:
    """What was written: the project's folder and its new files, relative to it."""

    folder: Path
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Updated:
    """One template's part of a project: the versions before and after, and the files where both sides changed."""

    answers: Path
    before: str
    after: str
    conflicts: tuple[Path, ...]


def create(
    kind: str,
    folder: Path,
    answers: Mapping[str, Any],
    shipped: Path = repositories.SHIPPED,
    version: str | None = None,
) -> Made:
    """Render a template into ``folder``, in its newest version or the one given; no file that is there is touched.

    Raises:
        NotFound: no template is called so. InvalidSpec: an answer is no name. Refused: a file is there already.
    """
    from copier import run_copy

    if kind not in repositories.kinds(shipped):
        raise NotFound(f"no template is called {kind!r}", f"use one of {', '.join(repositories.kinds(shipped))}")
    _check(answers)
    _refuse_again(kind, folder, answers)
    there = set(_files(folder))
    with repositories.rendered_from(kind, shipped, version) as source, _copier_errors(kind):
        run_copy(
            source,
            folder,
            data=dict(answers),
            vcs_ref=version,
            answers_file=_answers_file(kind, answers),
            defaults=True,
            quiet=True,
            skip_if_exists=["**"],
        )
    if not repositories.has_git():
        _remember(folder / _answers_file(kind, answers), kind, shipped, version)
    return Made(folder, tuple(sorted(set(_files(folder)) - there)))


def _remember(file: Path, kind: str, shipped: Path, version: str | None) -> None:
    """Name the template as Copier does where Git brings it, so that an update works once Git is there."""
    import yaml

    answers = yaml.safe_load(file.read_text(encoding="utf-8"))
    answers |= {"_src_path": repositories.address(kind), "_commit": version or repositories.newest(kind, shipped)}
    head = "".join(line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line.startswith("#"))
    file.write_text(head + yaml.safe_dump(answers), encoding="utf-8")


def create_team(folder: Path, answers: Mapping[str, Any], model: str) -> list[Made]:
    """Render a team and its first model; both names are looked at before a file of either is written.

    Raises:
        InvalidSpec: an answer is no name. Refused: the folder is not empty.
    """
    whole = {**answers, "model": model}
    _check(whole)
    return [create("team", folder, answers), create("model", folder, whole)]


def create_kind(name: str, folder: Path) -> Made:
    """Render a distribution with a kind of models, which begins as a regression between two bounds.

    Raises:
        InvalidSpec: ``name`` is no name, or that of a kind that is installed. Refused: the folder is not empty.
    """
    if name in targets.installed():
        raise InvalidSpec(f"a kind of models {name!r} is installed already", "give another name")
    return create("kind", folder, {"kind": name, "class_name": class_name(name)})


def class_name(name: str) -> str:
    """Return a name of a template's answers as a class has it."""
    return "".join(part.title() for part in name.split("_"))


def update(folder: Path, shipped: Path = repositories.SHIPPED) -> list[Updated]:
    """Bring every part of a project that a template made to its template's newest version.

    What people changed since stays; where both sides changed the same lines, the file holds both between conflict
    markers. The project must be in Git with nothing uncommitted, so that the update can be seen and taken back.

    Raises:
        NotFound: no template made anything here. Refused: Git does not know the project, or it has changes.
    """
    _refuse_absent(folder)
    found = sorted(path for path in folder.rglob(f"*{ANSWERS}") if not _hidden(path.relative_to(folder)))
    if not found:
        raise NotFound(f"nothing in {folder} was made from a template", "give the folder that 'loopline new' made")
    with repositories.reachable(shipped), apart(folder) as copy:
        return list(_updated(copy, [path.relative_to(folder) for path in found]))


def answers_of_team(folder: Path) -> dict[str, str]:
    """Return what a team's folder was made with: its name, its source and its entity.

    Raises:
        NotFound: the folder was not made from the team's template.
    """
    import yaml

    _refuse_absent(folder)
    found = sorted(folder.glob(f"src/*/{ANSWERS}"))
    if not found:
        raise NotFound(f"{folder} was not made by 'loopline new team'", "write the model by hand; see the tutorial")
    answers = yaml.safe_load(found[0].read_text(encoding="utf-8"))
    return {name: answers[name] for name in ("team", "source", "entity")}


def _refuse_absent(folder: Path) -> None:
    """Tell a folder that is not there from one that no template made.

    Raises:
        NotFound: it is not there.
    """
    if not folder.is_dir():
        fix = "give the team's folder, such as plugins/shop, or make a team with 'loopline new team NAME'"
        raise NotFound(f"there is no folder {folder}", fix)


def _updated(copy: Path, parts: Sequence[Path]) -> Iterator[Updated]:
    """Update part by part: Copier wants each to begin with everything committed."""
    from copier import run_update

    known: set[Path] = set()
    for answers in parts:
        before = _version(copy / answers)
        with _copier_errors(str(answers)):
            run_update(copy, answers_file=answers, defaults=True, overwrite=True, quiet=True, skip_answered=True)
        conflicts = set(_conflicts(copy)) - known
        yield Updated(answers, before, _version(copy / answers), tuple(sorted(conflicts)))
        known |= conflicts
        commit(copy)


def _answers_file(kind: str, answers: Mapping[str, Any]) -> str:
    package = f"src/{answers[kind if kind in {'vendor', 'kind'} else 'team']}"
    return f"{package}/models/{answers['model']}.{ANSWERS}" if kind == "model" else f"{package}/{ANSWERS}"


def _check(answers: Mapping[str, Any]) -> None:
    for name in ("team", "model", "source", "entity", "vendor", "kind"):
        value = answers.get(name, "fine")
        if not str(value).isidentifier() or keyword.iskeyword(value) or value != str(value).lower():
            raise InvalidSpec(f"{name} {value!r} is no name", "use lower-case letters, digits and underscores")


@contextlib.contextmanager
def _copier_errors(what: str) -> Iterator[None]:
    """Tell Copier's refusals as ours."""
    from copier.errors import CopierError

    try:
        yield
    except CopierError as error:
        raise Refused(f"{what}: {error}", "commit or remove what is there, then run it again") from error


def _refuse_again(kind: str, folder: Path, answers: Mapping[str, Any]) -> None:
    """Refuse to make again what is there: a model whose module exists, anything else in a folder that is not empty."""
    module = folder / _answers_file(kind, answers).replace(f".{ANSWERS}", ".py")
    if module.exists() if kind == "model" else any(_files(folder)):
        there = module if kind == "model" else folder
        raise Refused(f"{there} is there already", "give another name, or bring it up to date with 'loopline update'")


def _files(folder: Path) -> list[Path]:
    if not folder.exists():
        return []
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _version(answers: Path) -> str:
    import yaml

    return str(yaml.safe_load(answers.read_text(encoding="utf-8"))["_commit"])


def _conflicts(folder: Path) -> Sequence[Path]:
    found = (path for path in _files(folder) if not _hidden(path))
    return [path for path in found if b"\n<<<<<<< " in b"\n" + (folder / path).read_bytes()]
