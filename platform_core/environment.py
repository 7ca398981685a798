"""An environment file binds each contract to a vendor; it is checked when it is bound."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from loopline.platform_core import clear_text
from loopline.platform_core import sites as places
from loopline.platform_core.bindings import Bindings, Recipe, Revealing
from loopline.platform_core.contracts import CONTRACTS, OPTIONAL, SEVERAL, Secrets, Vendor
from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec, NotFound
from loopline.platform_core.foundation import validation
from loopline.platform_core.foundation.credentials import placed, references
from loopline.platform_core.foundation.files import write
from loopline.platform_core.foundation.located_yaml import Located, Place, load

VENDORS = "loopline.vendors"
"""Entry point group: ``<contract>.<vendor> = "package.module:Class"``."""
FILE = "LOOPLINE_ENVIRONMENT"
HOME = "LOOPLINE_HOME"
DEFAULT_FILE = Path("deploy/environments/laptop.yaml")
_KEYS = {"name", "bindings", "ledger", "clock", "traces", "prices", "promotions", "dagster", *SEVERAL.values()}
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_EMPTY = re.compile(r"\$\{\w+:-\}")
_MAY_NAME_SECRETS = {"bindings", "ledger", "traces", "dagster", *SEVERAL.values()}


@dataclass(frozen=True)
class Promotions:
    """The folder of merged wishes, and whether a version that passed its gates waits for one."""

    folder: Path
    required: bool = False


@dataclass(frozen=True)
class Environment:
    """What an environment file says: vendors by contract and name, ledger URL, replay clock's file, where spans go.

    ``dagster`` is what it says about Dagster where its parts are pods, which ``loopline.pod`` checks. Where ``ledger``,
    ``traces`` or ``dagster`` name secrets, they do so here too: ``revealed`` asks for them. ``site`` is whose bindings
    these are, "" for the control plane's; ``sites`` are all that there are.
    """

    name: str
    path: Path
    bindings: Mapping[str, Vendor]
    ledger: str = field(repr=False)
    clock: Path | None
    home: Path
    traces: str | None = None
    prices: Path | None = None
    notifiers: Mapping[str, Vendor] = field(default_factory=dict)
    dagster: Mapping[str, Any] = field(default_factory=dict, repr=False)
    promotions: Promotions | None = None
    site: str = ""
    sites: places.Sites = field(default_factory=places.Sites)
    revealing: Revealing | None = field(default=None, repr=False, compare=False)

    def is_here(self, team: str) -> bool:
        """Say whether a team's lake, endpoint and online store are those that are bound here."""
        return self.sites.of(team) == self.site

    def refuse_elsewhere(self, team: str) -> None:
        """Hold whoever acts on a team's endpoint to the team's own site: what is bound here is another one's.

        Raises:
            Refused: the team is at another site, or at none and this process is.
        """
        self.sites.refuse_elsewhere(team, self.site)

    def revealed(self, key: str) -> Any:
        """Return ``ledger``, ``traces`` or ``dagster`` with the secrets that it names.

        Raises:
            LooplineError: as the store of secrets raises, with the line.
        """
        value = getattr(self, key)
        return value if self.revealing is None else self.revealing.filled(value, (key,))


def home() -> Path:
    """Return the folder in which this installation keeps its state (``LOOPLINE_HOME``, else ``.loopline``)."""
    return Path(os.environ.get(HOME, ".loopline")).absolute()


def environment_file() -> Path:
    """Return the environment file in force (``LOOPLINE_ENVIRONMENT``, else the one that ``loopline init`` writes)."""
    return Path(os.environ.get(FILE, DEFAULT_FILE)).absolute()


def read(path: Path | None = None, only: Collection[str] = tuple(CONTRACTS), site: str | None = None) -> Environment:
    """Read an environment file and bind its vendors; the inference server binds ``only`` what it needs.

    They are those of a ``site``, "" for the control plane, where none is given of this process's own.

    Raises:
        InvalidEnvironment: with ``file:line`` and the vendors that could be named instead. NotFound: no such site.
    """
    whole, site = _loaded(path), places.here() if site is None else site
    clear_text.refuse(whole)
    every = places.of(whole)
    document = places.laid(whole, site)
    data = _expanded(document.data)
    _known(document, data, _KEYS, ())
    _references_where_they_may(document, data)
    bindings = data.get("bindings") or {}
    _known(document, bindings, set(CONTRACTS) - set(SEVERAL), ("bindings",))
    missing = sorted(set(only) - set(bindings) - OPTIONAL)
    if missing:
        raise InvalidEnvironment(
            f"{document.at('bindings')}: no vendor is bound for {', '.join(missing)}",
            f"add a line such as '{missing[0]}: {{vendor: {_first(missing[0])}}}'",
        )
    binding = _Binding(document, bindings.get("secrets"))
    bound = {
        contract: binding.settings(contract, settings, ("bindings", contract))
        for contract, settings in bindings.items()
        if contract in only
    }
    clock = (data.get("clock") or {}).get("replay")
    return Environment(
        name=str(data.get("name", document.path.stem)),
        path=document.path,
        bindings=_together(bound),
        ledger=str(data.get("ledger") or f"sqlite:///{home()}/ledger.db"),
        clock=Path(clock) if clock else None,
        home=home(),
        traces=data.get("traces"),
        prices=document.path.parent / data["prices"] if data.get("prices") else None,
        notifiers=_together(_named(binding, data, "notifier") if "notifier" in only else {}),
        dagster=data.get("dagster") or {},
        promotions=_promotions(document, data),
        site=site,
        sites=every,
        revealing=binding.revealing,
    )


def carried(path: Path) -> dict[str, str]:
    """Return an environment file as a task's argument, for a machine that may not have it: its path and its text.

    Variables stay as they are written: they, and the secrets in them, are those of the machine that reads it.
    """
    return {"path": str(path), "text": path.read_text(encoding="utf-8")}


def landed(file: str | Mapping[str, str]) -> Path:
    """Return the file that a task was given, by its path or carried; written anew where the path has another text."""
    if isinstance(file, str):
        return Path(file)
    path, text = Path(file["path"]), file["text"]
    try:
        if path.read_text(encoding="utf-8") == text:
            return path
    except OSError:
        pass  # another machine
    here = home() / "environments" / hashlib.sha256(text.encode()).hexdigest()[:16] / path.name
    if not here.exists():
        here.parent.mkdir(parents=True, exist_ok=True)
        write(here, text.encode())
    return here


def binds(contract: str, path: Path | None = None) -> bool:
    """Say whether an environment file binds a contract, without loading a vendor; a file that is none binds nothing."""
    return contract in (_raw_settings(path).get("bindings") or {})


def promotes(path: Path | None = None) -> bool:
    """Say whether an environment file names a folder of merged promotions, without loading a vendor."""
    return bool(_raw_settings(path).get("promotions"))


def sites(path: Path | None = None) -> places.Sites:
    """Return the sites of an environment file, without loading a vendor; a file that is none names none.

    Raises:
        InvalidEnvironment: what it says of them does not hold together.
    """
    try:
        document = load(path or environment_file())
    except InvalidSpec:
        return places.Sites()
    return places.of(document)


def _raw_settings(path: Path | None) -> Mapping[str, Any]:
    try:
        data = places.laid(load(path or environment_file()), places.here()).data
    except (InvalidSpec, NotFound):
        return {}
    return data if isinstance(data, dict) else {}


def _loaded(path: Path | None) -> Located:
    """Read the file.

    Raises:
        InvalidEnvironment: nobody named a file, and there is none where ``loopline init`` writes it.
        InvalidSpec: it cannot be read, or is no YAML.
    """
    file = path or environment_file()
    if path is None and FILE not in os.environ and not file.exists():
        raise InvalidEnvironment(
            f"{file}: there is no environment file", f"run 'loopline init' here, or name a file with {FILE}"
        )
    return load(file)


def bind(contract: str, settings: Mapping[str, Any], where: str = "binding") -> Vendor:
    """Make a contract's vendor from ``{"vendor": name, **fields}``; ``where`` goes before error messages."""
    if contract not in CONTRACTS:
        raise InvalidEnvironment(f"{where}: no contract {contract!r}", f"use one of {', '.join(CONTRACTS)}")
    vendor = _vendor_class(contract, str(settings.get("vendor", "")), where)
    return _made(vendor, contract, settings, where)


def _made(
    vendor: type[Vendor], contract: str, settings: Mapping[str, Any], where: str, named: Collection[Place] = ()
) -> Vendor:
    """Make a vendor; where ``named`` are places of secrets, no error tells more than the field."""
    try:
        return vendor(**{name: value for name, value in settings.items() if name != "vendor"})
    except ValidationError as error:
        place, field, message = validation.first(error.errors())
        if named:
            told = any(place[: len(below)] == below for below in named) or not place
            message, field = ("the secret does not fit the field", field) if told else (message, field)
            problem = _misfit(vendor, f"{where}: {contract}.{field}: {message}")
        else:
            raise _misfit(vendor, f"{where}: {contract}.{field}: {message}") from error
    raise problem  # outside the handler: what pydantic says may show the secret


def _checked_but(
    vendor: type[Vendor], contract: str, settings: Mapping[str, Any], where: str, named: Collection[Place]
) -> None:
    """Check settings but for the secrets that they name.

    Raises:
        InvalidEnvironment: another field is wrong, or there is no such field.
    """
    try:
        vendor(**{name: value for name, value in settings.items() if name != "vendor"})
    except ValidationError as error:
        for one in error.errors():
            place, field, message = validation.first([one])
            unknown = one["type"] == "extra_forbidden"
            if unknown or (place and not any(place[: len(below)] == below for below in named)):
                raise _misfit(vendor, f"{where}: {contract}.{field}: {message}") from error


def _misfit(vendor: type[Vendor], problem: str) -> InvalidEnvironment:
    return InvalidEnvironment(problem, f"fields are {', '.join(vendor.model_fields) or 'none'}")


def vendors(contract: str) -> dict[str, EntryPoint]:
    """Return the installed vendors of a contract by name."""
    prefix = f"{contract}."
    found = entry_points(group=VENDORS)
    return {point.name.removeprefix(prefix): point for point in found if point.name.startswith(prefix)}


class _Binding:
    """Binds vendors of one file; ``secrets`` is what it says of who keeps secrets."""

    def __init__(self, document: Located, secrets: Any) -> None:
        self.document = document
        self.revealing = Revealing(cache(lambda: self._secrets(secrets)), lambda place: document.at(*place))

    def settings(self, contract: str, settings: Any, place: Place) -> Vendor | Recipe:
        """Make the vendor; where its settings name secrets they are checked, and it is made when it is asked for."""
        where = self.document.at(*place)
        if not isinstance(settings, dict):
            raise InvalidEnvironment(f"{where}: {place[-1]} is no mapping", "write {vendor: name, field: value}")
        vendor = _vendor_class(contract, str(settings.get("vendor", "")), where)
        clear_text.refuse_fields(self.document, place, vendor)
        named = [below for below, text in placed(settings) if references(text)]
        if not named:
            return _made(vendor, contract, settings, where)
        self._open(vendor, contract, named, place)
        _checked_but(vendor, contract, settings, where, named)
        return Recipe(
            lambda: self.revealing.filled(settings, place), lambda found: _made(vendor, contract, found, where, named)
        )

    def _secrets(self, settings: Any) -> Secrets:
        """Bind who keeps secrets, whose own settings name none."""
        if settings is None:
            raise InvalidEnvironment(
                f"{self.document.at('bindings')}: no vendor is bound for secrets",
                "add a line such as 'secrets: {vendor: environment_variables}'",
            )
        return cast("Secrets", self.settings("secrets", settings, ("bindings", "secrets")))

    def _open(self, vendor: type[Vendor], contract: str, named: list[Place], place: Place) -> None:
        """Refuse secrets that could not be had, and those in fields that others may read."""
        where = self.document.at(*place, *named[0])
        if contract == "secrets":
            raise InvalidEnvironment(
                f"{where}: what keeps secrets cannot be reached by one", "name a file or a variable: ${NAME}"
            )
        self.revealing.store()
        for below in named:
            if below[0] in vendor.open_fields:
                raise InvalidEnvironment(
                    f"{self.document.at(*place, *below)}: {contract}.{below[0]} is shown to whoever may read a pod's "
                    "manifest",
                    "give the pod the secret by 'environment_from' or 'secrets'",
                )


def _together(bound: Mapping[str, Vendor | Recipe]) -> Bindings:
    made = {name: one for name, one in bound.items() if isinstance(one, Vendor)}
    recipes = {name: one for name, one in bound.items() if isinstance(one, Recipe)}
    return Bindings(made, recipes, tuple(bound))


def _named(binding: _Binding, data: Mapping[str, Any], contract: str) -> dict[str, Vendor | Recipe]:
    """Bind the vendors of a contract that an environment may have several of; each is told its name."""
    key = SEVERAL[contract]
    found = data.get(key) or {}
    if not isinstance(found, dict):
        where = binding.document.at(key)
        raise InvalidEnvironment(f"{where}: {key} is no mapping", f"write {key}: {{<name>: {{vendor: …}}}}")
    return {
        str(name): binding.settings(
            contract, settings | {"name": str(name)} if isinstance(settings, dict) else settings, (key, str(name))
        )
        for name, settings in found.items()
    }


def _references_where_they_may(document: Located, data: Mapping[str, Any]) -> None:
    for place, text in placed({key: value for key, value in data.items() if key not in _MAY_NAME_SECRETS}):
        if references(text):
            raise InvalidEnvironment(
                f"{document.at(*place)}: {place[0]} names no secret", "write the value itself: it is no credential"
            )


def _promotions(document: Located, data: Mapping[str, Any]) -> Promotions | None:
    found = data.get("promotions")
    if found is None:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("folder"), str) or not found["folder"].strip():
        raise InvalidEnvironment(
            f"{document.at('promotions')}: promotions name no folder", "write promotions: {folder: <path>}"
        )
    _known(document, found, {"folder", "required"}, ("promotions",))
    required = found.get("required", False)
    if not isinstance(required, bool):
        raise InvalidEnvironment(
            f"{document.at('promotions', 'required')}: {required!r} is neither yes nor no", "write true or false"
        )
    return Promotions(Path(found["folder"]), required)


def _vendor_class(contract: str, name: str, where: str) -> type[Vendor]:
    points = vendors(contract)
    if name not in points:
        raise InvalidEnvironment(
            f"{where}: no vendor {name!r} for {contract}",
            f"installed are {', '.join(sorted(points)) or 'none'}; or install the distribution that brings it",
        )
    try:
        vendor = points[name].load()
    except Exception as error:
        raise InvalidEnvironment(
            f"{where}: vendor {name!r} ({points[name].value}) cannot be loaded: {error}",
            "install the extra that the vendor needs, or mend its module",
        ) from error
    return _checked(vendor, contract, points[name].value, where)


def _checked(vendor: Any, contract: str, value: str, where: str) -> type[Vendor]:
    wanted = CONTRACTS[contract]
    if not (inspect.isclass(vendor) and issubclass(vendor, wanted)):
        raise InvalidEnvironment(f"{where}: {value} is no {wanted.__name__}", f"subclass {wanted.__name__}")
    if inspect.isabstract(vendor):
        left = ", ".join(sorted(vendor.__abstractmethods__))
        raise InvalidEnvironment(f"{where}: {value} does not implement {left}", "implement the contract's methods")
    return vendor


def _known(document: Located, data: Any, allowed: set[str], place: tuple[str, ...]) -> None:
    for key in data if isinstance(data, dict) else ():
        if key not in allowed:
            raise InvalidEnvironment(
                f"{document.at(*place, key)}: unknown key {key!r}", f"use {', '.join(sorted(allowed))}"
            )


def _first(contract: str) -> str:
    return next(iter(sorted(vendors(contract))), "<name>")


def _expanded(value: Any) -> Any:
    """Put variables into settings; one that is ``${NAME:-}`` alone is left out where there is nothing in NAME."""
    if isinstance(value, dict):
        found = {key: _expanded(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item != "" or not _EMPTY.fullmatch(value[key])}
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    return _VARIABLE.sub(_variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    name, default = match.groups()
    if name == HOME:
        return str(home())
    value = os.environ.get(name, default)
    if value is None:
        raise InvalidEnvironment(f"environment variable {name} is not set", f"set {name} or write ${{{name}:-default}}")
    return value
