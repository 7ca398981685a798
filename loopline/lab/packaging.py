"""Saves a notebook's fit as a model file of a team's package.

The file stands by itself: the function's source, what it needs of the notebook, and its parameters. It is loaded once
more and fitted on the same rows before it counts; one that says something else than the notebook's fit is not left
there. Training, gates and rollout of the new model are those of any other.
"""

from __future__ import annotations

import importlib.util
import keyword
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.lab import sources
from loopline.platform_core.errors import InvalidSpec, Refused
from loopline.platform_core.specs import Model

if TYPE_CHECKING:
    from types import ModuleType

    from loopline.lab.fitting import Fitted

HEAD = '''"""{title}: {of} with a fit of its own, from a notebook on training set {pinned}."""

from __future__ import annotations

from dataclasses import replace
{imports}
from {module} import {attribute} as _before
from loopline import specs

{source}

{name} = replace(
    _before,
    name="{name}",
    fit={fit},
    search=specs.Search(trials=1, space={space}, metric=_before.search.metric),
)
'''
ALIKE = 1e-9
"""How far two fits of the same rows and parameters may lie apart, by the last bits of a sum."""


@dataclass(frozen=True)
class Packaged:
    """The file that was written, and what is to be done next."""

    file: Path
    model: str
    then: str

    def __repr__(self) -> str:
        """Say both."""
        return f"{self.model} is in {self.file}\nnext: {self.then}"


def packaged(made: Fitted, folder: str | Path, name: str) -> Packaged:
    """Write the module of model ``name`` into the package of a team's folder, and try it.

    In a team whose models are one file each (``specs.models_in``) it is found by itself; else what is to be added to
    the team's declaration is said.

    Raises:
        InvalidSpec: the name is none, the folder is not the team's, or something of the notebook cannot be written
            down. Refused: the file is there already, or fits something else than the notebook did.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise InvalidSpec(f"{name!r} is no name of a model", "use lower-case letters, digits and underscores")
    team = made.rows.team.name
    if name in {model.name for model in made.rows.team.models}:
        raise Refused(f"team {team} has a model {name!r} already", "give another name")
    home = _home(Path(folder), team)
    file = home / f"{name}.py"
    text = _text(made, name)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise Refused(f"{file} is there already", "give another name") from error
    try:
        _try(file, made, name)
    except BaseException:
        file.unlink()
        raise
    return Packaged(file, f"{team}/{name}", _then(home, team, name))


def _home(folder: Path, team: str) -> Path:
    """Return where the modules of a team's models lie: its package, or the folder of models in it."""
    found = [path for path in (folder / "src" / team, folder / team, folder) if path.joinpath("__init__.py").is_file()]
    if not found or found[0].name != team:
        fix = f"give the folder that 'loopline new team {team}' made, such as plugins/{team}"
        raise InvalidSpec(f"{folder} does not hold the package of team {team}", fix)
    models = found[0] / "models"
    return models if models.joinpath("__init__.py").is_file() else found[0]


def _text(made: Fitted, name: str) -> str:
    module, attribute = _declared(made.rows.model, made.rows.team.name)
    written = sources.written(made.fit)
    space = {key: _choice(key, value) for key, value in made.params.items()}
    return HEAD.format(
        title=name.replace("_", " ").capitalize(),
        of=made.rows.model.name,
        pinned=made.rows.pinned.training_set_id,
        imports="".join(f"\n{line}" for line in written.imports) + ("\n" if written.imports else ""),
        module=module,
        attribute=attribute,
        source=written.text,
        name=name,
        fit=made.fit.__name__,
        space="{" + ", ".join(f'"{key}": {value}' for key, value in space.items()) + "}",
    )


def _choice(name: str, value: object) -> str:
    if not isinstance(value, str | int | float | bool):
        raise InvalidSpec(f"parameter {name!r} is {value!r}", "give texts, numbers and booleans as parameters")
    return f"specs.choice({value!r})"


def _declared(model: Model, team: str) -> tuple[str, str]:
    """Return the module of the team's package, and the name in it, that hold a model."""
    for name, module in sorted(sys.modules.items(), reverse=True):
        if name.partition(".")[0] == team:
            found = [key for key, value in vars(module).items() if value is model]
            if found:
                return name, found[0]
    raise InvalidSpec(
        f"no module of {team!r} holds model {model.name!r}: it is declared in YAML, or in another package",
        "write the function into a module of the team, and name it as the model's fit",
    )


def _try(file: Path, made: Fitted, name: str) -> None:
    """Fit by the file what the notebook fitted."""
    import numpy as np

    model = getattr(_loaded(file, name), name)
    assert isinstance(model, Model)  # the text above makes one
    data, target = made.rows.learnable, model.target
    train, valid = data.part(data.parts.train), data.part(data.parts.valid)
    estimator = model.fit(train, valid, dict(made.params), lambda _step, _score: None)
    apart = float(np.abs(target.predictions(estimator, data.x) - made.raw).max())
    if not apart <= ALIKE:
        raise Refused(
            f"what was written fits something else: predictions differ by up to {apart:.3g}",
            "seed what is random in the function, and let it rest on its arguments alone",
        )


def _loaded(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_loopline_lab_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (NameError, ImportError, SyntaxError) as error:
        raise InvalidSpec(
            f"what was written cannot be loaded: {error}", "import what it needs in the function"
        ) from error
    return module


def _then(home: Path, team: str, name: str) -> str:
    check = f"loopline plugin check {team} && loopline validate && loopline cycle start {team}/{name}"
    if home.name == "models":
        return check
    return f"add {team}.{name}.{name} to the models of {team}'s Team, then {check}"
