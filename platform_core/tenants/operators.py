"""Operator's file: the stores that tenants share, and where each tenant's own files lie.

::

    name: shared
    root: /srv/loopline
    environment: tenant-environment.yaml      # what each tenant's environment file is made of, beside this one
    secrets: {vendor: files, root: /etc/loopline/secrets}
    stores:
      database: {vendor: postgres, url: "secret://postgresql"}
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from loopline.platform_core import clear_text, environment
from loopline.platform_core.bindings import made
from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.credentials import placed, references
from loopline.platform_core.foundation.located_yaml import Located, load

FILE = "LOOPLINE_TENANTS"
"""Names the operator's file where ``--on`` does not."""
_KEYS = ("name", "root", "environment", "secrets", "stores")
_STORE = re.compile(r"[a-z][a-z0-9_]{0,31}")
TENANT, FOLDER = "${tenant}", "${tenant_folder}"
"""What stands in the environment file that all tenants' are made of, for a tenant's name and its folder."""


@dataclass(frozen=True)
class Operators:
    """What an operator's file says: ``stores`` by name, which are bound when they are asked for."""

    name: str
    path: Path
    root: Path
    template: Path
    stores: Mapping[str, TenantStore]
    fields: Mapping[str, Collection[str]]

    def environment_of(self, tenant: str, folder: Path) -> str:
        """Return the text of a tenant's environment file."""
        text = self.template.read_text(encoding="utf-8")
        return text.replace(TENANT, tenant).replace(FOLDER, str(folder))

    def close(self) -> None:
        """Let go of the stores that were asked for."""
        for store in made(self.stores):
            store.close()


def read(path: Path | None = None) -> Operators:
    """Read the file that is given, or that ``LOOPLINE_TENANTS`` names, and check the one that it makes others of.

    Raises:
        InvalidEnvironment: with ``file:line``: it does not hold together, or holds a credential.
        InvalidSpec: it cannot be read, or is no YAML.
    """
    given = path or (Path(os.environ[FILE]) if os.environ.get(FILE) else None)
    if given is None:
        raise InvalidEnvironment("no operator's file is named", f"give it with --on, or name it in {FILE}")
    document = load(given.absolute())
    data = environment.expanded(document, _KEYS)
    clear_text.refuse(document)
    for key in ("root", "environment", "stores"):
        if not data.get(key):
            raise InvalidEnvironment(f"{document.at()}: {key} is missing", f"add {key}: docs/how-to/run-tenants.md")
    bound, fields = environment.bound_beside(document, data, "stores", "tenant_store")
    for name in bound:
        if not _STORE.fullmatch(name):
            raise InvalidEnvironment(
                f"{document.at('stores', name)}: {name!r} is no name of a store",
                "take small letters, digits and underscores, a letter first: secrets of tenants are called so",
            )
    found = Operators(
        str(data.get("name", document.path.stem)),
        document.path,
        document.path.parent / str(data["root"]),
        document.path.parent / str(data["environment"]),
        cast("Mapping[str, TenantStore]", bound),
        fields,
    )
    _check_template(load(found.template), found)
    return found


def _check_template(document: Located, operators: Operators) -> None:
    """Hold what tenants' files are made of to what there is to fill it with.

    Raises:
        InvalidEnvironment: it names a store, or a field of one, that there is not; or it does not name its tenant, or
            is no environment file.
    """
    if not isinstance(document.data, dict) or document.data.get(environment.TENANT) != TENANT:
        raise InvalidEnvironment(
            f"{document.at()}: it does not say whose it is", f'add {environment.TENANT}: "{TENANT}"'
        )
    environment.refuse_odd(document)
    for place, text in placed(document.data):
        for reference in references(text):
            _check_reference(reference.name, reference.field, document.at(*place), operators)


def _check_reference(store: str, field: str, where: str, operators: Operators) -> None:
    known = operators.fields.get(store)
    if known is None:
        names = ", ".join(sorted(operators.fields))
        raise InvalidEnvironment(f"{where}: there is no store {store!r}", f"use one of {names}")
    if field not in known:
        raise InvalidEnvironment(
            f"{where}: {store} gives a tenant no {field or 'whole secret'!r}", f"use one of {', '.join(known)}"
        )
