"""Environment files: bind each contract to a vendor; validated when read."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from loopline.platform_core import clear_text, quota_settings, retention, sign_in_settings, suspension, trainers
from loopline.platform_core import sites as places
from loopline.platform_core.bindings import Bindings, Recipe, Revealing
from loopline.platform_core.contracts import CONTRACTS, OPERATORS, OPTIONAL, SEVERAL, Secrets, TenantStore, Vendor
from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec, NotFound
from loopline.platform_core.foundation import validation
from loopline.platform_core.foundation.credentials import keep_within, placed, references
from loopline.platform_core.foundation.distributions import entry_points
from loopline.platform_core.foundation.files import write
from loopline.platform_core.foundation.located_yaml import Located, Place, load
from loopline.platform_core.quota_settings import Quotas
from loopline.platform_core.retention import Retention
from loopline.platform_core.sign_in_settings import SignIn

VENDORS = "loopline.vendors"
"""Entry point group: ``<contract>.<vendor> = "package.module:Class"``."""
FILE = "LOOPLINE_ENVIRONMENT"
HOME = "LOOPLINE_HOME"
TENANT = suspension.KEY
DEFAULT_FILE = Path("deploy/environments/laptop.yaml")
_OF_THE_LOOP = {
    "ledger",
    "traces",
    "prices",
    "promotions",
    "dagster",
    "audit",
    "access",
    sign_in_settings.KEY,
    *SEVERAL.values(),
}
"""What a file says and no endpoint asks."""
_KEYS = {
    "name",
    "bindings",
    "clock",
    "signing",
    "production",
    TENANT,
    quota_settings.KEY,
    places.REGION,
    *_OF_THE_LOOP,
}
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_EMPTY = re.compile(r"\$\{\w+:-\}")
_MAY_NAME_SECRETS = {
    "bindings",
    "ledger",
    "traces",
    "dagster",
    "audit",
    "signing",
    sign_in_settings.KEY,
    *SEVERAL.values(),
}


@dataclass(frozen=True)
class Promotions:
    """The folder of merged wishes, and whether a version that passed its gates waits for one."""

    folder: Path
    required: bool = False


@dataclass(frozen=True)
class Access:
    """The file that says who has which role, and the folder of an organisation's own policies."""

    roles: Path
    policies: Path | None = None


@dataclass(frozen=True)
class Environment:
    """What an environment file says: vendors by contract and name, ledger URL, replay clock's file, where spans go.

    ``dagster`` is what it says about Dagster where its parts are pods, which ``loopline.pod`` checks; ``audit`` names
    the key by which checkpoints are signed, "" for the one in the home. Where ``ledger``, ``traces``, ``dagster`` or
    ``audit`` name secrets, they do so here too: ``revealed`` asks for them. ``site`` is whose bindings these are, ""
    for the control plane's; ``sites`` are all that there are;
    ``region`` is where they are, "" where nobody says it. Without ``access`` everybody may decide; without
    ``signing`` packages are neither signed nor looked at; without ``sign_in`` nobody proves who he is; without
    ``retention`` the audit's record is kept for ever; a quota that is left out bounds nothing. ``tenant`` is whose it
    is, "" for whoever shares nothing.
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
    audit: str = field(default="", repr=False)
    retention: Retention | None = None
    promotions: Promotions | None = None
    access: Access | None = None
    signing: trainers.Signing | None = None
    production: bool = False
    region: str = ""
    sign_in: SignIn | None = None
    tenant: str = ""
    quotas: Quotas = field(default_factory=Quotas)
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
        """Return ``ledger``, ``traces``, ``dagster`` or ``audit`` with the secrets that it names.

        Raises:
            LooplineError: as the store of secrets raises, with the line.
        """
        value = getattr(self, key)
        return value if self.revealing is None else self.revealing.filled(value, (key,))

    def client_secret(self) -> str:
        """Return what proves to the provider who we are, asked for now; "" for a client that has none.

        Raises:
            LooplineError: as the store of secrets raises, with the line.
        """
        said = self.sign_in.client_secret if self.sign_in else ""
        place = (sign_in_settings.KEY, "client_secret")
        return said if self.revealing is None else str(self.revealing.filled(said, place))


def home() -> Path:
    """Return the folder in which this installation keeps its state (``LOOPLINE_HOME``, else ``.loopline``)."""
    return Path(os.environ.get(HOME, ".loopline")).absolute()


def environment_file() -> Path:
    """Return the environment file in force (``LOOPLINE_ENVIRONMENT``, else the one that ``loopline init`` writes)."""
    return Path(os.environ.get(FILE, DEFAULT_FILE)).absolute()


def read(
    path: Path | None = None,
    only: Collection[str] = tuple(CONTRACTS),
    site: str | None = None,
    *,
    alone: bool = False,
) -> Environment:
    """Read an environment file and bind its vendors, ``only`` those that are needed.

    They are those of a ``site``, "" for the control plane, where none is given of this process's own. What stands
    ``alone``, as an endpoint does, needs neither the loop's stores nor their variables: nothing is said of them.

    Raises:
        InvalidEnvironment: with ``file:line`` and the vendors that could be named instead. NotFound: no such site.
        Refused: it is a tenant's who is suspended.
    """
    whole, site = _loaded(path), places.here() if site is None else site
    clear_text.refuse(whole)
    every = places.of(whole)
    document = places.laid(whole, site)
    _known(document, document.data, _KEYS, ())
    data = _expanded(_of_an_endpoint(document.data, only) if alone else document.data)
    keep_within(data)
    _references_where_they_may(document, data)
    tenant = str(data.get(TENANT) or "")
    if tenant:
        suspension.refuse(tenant, document.path)
    bindings = data.get("bindings") or {}
    _known(document, document.data.get("bindings"), set(CONTRACTS) - set(SEVERAL), ("bindings",))
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
    return Environment(
        name=str(data.get("name", document.path.stem)),
        path=document.path,
        bindings=_together(bound),
        ledger=str(data.get("ledger") or f"sqlite:///{home()}/ledger.db"),
        clock=_clock(document, data),
        home=home(),
        traces=data.get("traces"),
        prices=document.path.parent / data["prices"] if data.get("prices") else None,
        notifiers=_together(_named(binding, data, "notifier") if "notifier" in only else {}),
        dagster=data.get("dagster") or {},
        audit=_audit(document, data),
        retention=retention.read(document, data),
        promotions=_promotions(document, data),
        access=_access(document, data),
        signing=trainers.read(document, data),
        production=_yes_or_no(document, data, "production"),
        region=_region(document, data),
        sign_in=sign_in_settings.read(document, data),
        tenant=tenant,
        quotas=quota_settings.read(document, data),
        site=site,
        sites=every,
        revealing=binding.revealing,
    )


def _of_an_endpoint(said: Mapping[str, Any], only: Collection[str]) -> dict[str, Any]:
    kept = {*only, "secrets"}
    bindings = {contract: settings for contract, settings in (said.get("bindings") or {}).items() if contract in kept}
    return {key: value for key, value in said.items() if key not in _OF_THE_LOOP} | {"bindings": bindings}


def expanded(document: Located, keys: Collection[str]) -> Mapping[str, Any]:
    """Return what a file that is no environment's says, with variables in it.

    Raises:
        InvalidEnvironment: it is no mapping, has another key than these, or names a variable that is not set.
    """
    if not isinstance(document.data, dict):
        raise InvalidEnvironment(f"{document.at()}: it is no mapping", f"write {', '.join(keys)}")
    _known(document, document.data, set(keys), ())
    data: Mapping[str, Any] = _expanded(document.data)
    return data


def refuse_odd(document: Located) -> None:
    """Look at an environment file that is not for this process: its keys, and that no credential stands in it.

    Raises:
        InvalidEnvironment: with ``file:line``. Variables and vendors are looked at where the file is read.
    """
    clear_text.refuse(document)
    _known(document, document.data, {*_KEYS, places.SITES, places.TEAMS}, ())
    _known(document, document.data.get("bindings"), set(CONTRACTS) - set(SEVERAL), ("bindings",))


def bound_beside(
    document: Located, data: Mapping[str, Any], key: str, contract: str
) -> tuple[Bindings, Mapping[str, Sequence[str]]]:
    """Bind what such a file names under a key, each by a name of its own; secrets are those of its ``secrets``.

    Returns:
        The vendors, made when they are asked for, and the ``fields`` of each one's class.

    Raises:
        InvalidEnvironment: as ``read`` raises.
    """
    said = data.get(key)
    if not isinstance(said, dict):
        raise InvalidEnvironment(f"{document.at(key)}: {key} is no mapping", f"write {key}: {{<name>: {{vendor: …}}}}")
    binding = _Binding(document, data.get("secrets"), ("secrets",))
    bound = {str(name): binding.settings(contract, settings, (key, str(name))) for name, settings in said.items()}
    fields = {
        str(name): _fields(_vendor_class(contract, str(settings["vendor"]), document.at(key, str(name))))
        for name, settings in said.items()
    }
    return _together(bound), fields


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


def guarded(path: Path | None = None) -> bool:
    """Say whether an environment file says who may decide, without loading a vendor.

    Raises:
        InvalidSpec: the file cannot be read, or is no YAML, and so may say it. NotFound: it has no such site.
    """
    return _says("access", path)


def asks_to_sign_in(path: Path | None = None) -> bool:
    """Say whether an environment file says how people sign in, without loading a vendor.

    Raises:
        InvalidSpec: the file cannot be read, or is no YAML, and so may say it. NotFound: it has no such site.
    """
    return _says(sign_in_settings.KEY, path)


def _says(key: str, path: Path | None) -> bool:
    if path is None and FILE not in os.environ and not environment_file().exists():
        return False
    data = _laid(path).data
    return isinstance(data, dict) and key in data


def quotas(path: Path | None = None) -> Quotas:
    """Return the quotas of an environment file as it is now, without loading a vendor; a file that is none has none.

    Raises:
        InvalidEnvironment: a quota is no amount.
    """
    try:
        document = _laid(path)
    except (InvalidSpec, NotFound):
        return Quotas()
    said = document.data if isinstance(document.data, dict) else {}
    block = {key: value for key, value in said.items() if key == quota_settings.KEY}
    return quota_settings.read(document, _expanded(block))  # variables of the rest may be others' alone


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
        data = _laid(path).data
    except (InvalidSpec, NotFound):
        return {}
    return data if isinstance(data, dict) else {}


def _laid(path: Path | None) -> Located:
    """Read a file, or the one in force, as it is for this process's site."""
    return places.laid(load(path or environment_file()), places.here())


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

    def __init__(self, document: Located, secrets: Any, place: Place = ("bindings", "secrets")) -> None:
        self.document, self.secrets_place = document, place
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
                f"{self.document.at(*self.secrets_place[:-1])}: no vendor is bound for secrets",
                "add a line such as 'secrets: {vendor: environment_variables}'",
            )
        return cast("Secrets", self.settings("secrets", settings, self.secrets_place))

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
                    f"{self.document.at(*place, *below)}: {contract}.{below[0]} is shown to whoever may read how a "
                    "pod or a job was made",
                    "give a pod the secret by 'environment_from' or 'secrets'; a job reads it itself, by the binding "
                    "that needs it",
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


def _clock(document: Located, data: Mapping[str, Any]) -> Path | None:
    """Return the file of a replay's clock; None where the machine's is meant."""
    found = data.get("clock") or {}
    path = found.get("replay") or "" if isinstance(found, dict) else None
    if not isinstance(path, str):
        raise InvalidEnvironment(
            f"{document.at('clock')}: clock names no file", "write clock: {replay: <path>}, or leave it out"
        )
    return Path(path) if path else None


def _promotions(document: Located, data: Mapping[str, Any]) -> Promotions | None:
    found = data.get("promotions")
    if found is None:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("folder"), str) or not found["folder"].strip():
        raise InvalidEnvironment(
            f"{document.at('promotions')}: promotions name no folder", "write promotions: {folder: <path>}"
        )
    _known(document, found, {"folder", "required"}, ("promotions",))
    return Promotions(Path(found["folder"]), _yes_or_no(document, data, "promotions", "required"))


def _access(document: Located, data: Mapping[str, Any]) -> Access | None:
    """Read who may decide; what stands there and says nothing opens nothing."""
    if "access" not in data:
        return None
    found = data["access"]
    if not isinstance(found, dict) or not isinstance(found.get("roles"), str) or not found["roles"].strip():
        raise InvalidEnvironment(
            f"{document.at('access')}: access names no file of roles", "write access: {roles: roles.yaml}"
        )
    _known(document, found, {"roles", "policies"}, ("access",))
    own, beside = found.get("policies"), document.path.parent
    if own is not None and (not isinstance(own, str) or not own.strip()):
        raise InvalidEnvironment(
            f"{document.at('access', 'policies')}: {own!r} is no folder", "name one, or leave it out"
        )
    return Access(beside / found["roles"], beside / own if own else None)


def _yes_or_no(document: Located, data: Mapping[str, Any], *place: str) -> bool:
    found: Any = data
    for key in place:
        found = found.get(key, False)
    if not isinstance(found, bool):
        raise InvalidEnvironment(f"{document.at(*place)}: {found!r} is neither yes nor no", "write true or false")
    return found


def _region(document: Located, data: Mapping[str, Any]) -> str:
    """Return where a file says that what it binds lies and computes; "" where it does not say."""
    found = data.get(places.REGION, "")
    if not isinstance(found, str) or found != found.strip():
        raise InvalidEnvironment(
            f"{document.at(places.REGION)}: {found!r} is no region", "write it as contracts do, such as region: eu"
        )
    return found


def _audit(document: Located, data: Mapping[str, Any]) -> str:
    """Return what names the key that signs, which is a file or a secret."""
    found = data.get("audit") or {}
    key = found.get("key") if isinstance(found, dict) else None
    only_retention = isinstance(found, dict) and set(found) == {retention.KEY}
    if found and not only_retention and (not isinstance(key, str) or not key.strip()):
        raise InvalidEnvironment(
            f"{document.at('audit')}: audit names no key", "write audit: {key: secret://<name>}, or a file's path"
        )
    _known(document, found, {"key", retention.KEY}, ("audit",))
    if key and str(document.data["audit"]["key"]).lstrip().startswith("PRIVATE"):
        raise InvalidEnvironment(
            f"{document.at('audit', 'key')}: audit.key holds a credential in clear",
            "write secret://<name>, or the path of the file that 'loopline audit init' made; then make another key",
        )
    return str(key or "")


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
    wanted = (CONTRACTS | OPERATORS)[contract]
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


def _fields(vendor: type[Vendor]) -> Sequence[str]:
    return vendor.fields if issubclass(vendor, TenantStore) else ()


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
