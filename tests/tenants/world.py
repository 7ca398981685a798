"""Two tenants on one PostgreSQL, made by the command line of the files that ship, each with an account of its own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner, Result

from loopline.platform_core import environment
from loopline.platform_core.environment import FILE, HOME
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.tenant_store import MINE, THEIRS
from tests.tenants.served import Served

SHIPPED = Path(__file__).parents[2] / "deploy/tenants"
ACCOUNTS = {MINE: 23_001, THEIRS: 23_002}
"""Numbers that no account of a machine has."""
IS_ROOT = os.geteuid() == 0
SIGN_IN = '\nsign_in: {accounts: "${tenant_folder}/home/accounts.yaml"}\n'


@dataclass
class World:
    """The operator's folder, and the command line that makes tenants of it."""

    folder: Path
    served: Served
    opened: ExitStack
    platforms: dict[str, Platform] = field(default_factory=dict)

    @property
    def on(self) -> Path:
        """Return the operator's file."""
        return self.folder / "operator/shared.yaml"

    @property
    def root(self) -> Path:
        """Return the folder of all tenants."""
        return self.folder / "tenants"

    def run(self, *arguments: str) -> Result:
        """Run ``loopline tenant`` as the operator."""
        from loopline.cli import loopline

        with patch.dict(os.environ, {"LOOPLINE_TENANTS": str(self.on), **self._variables()}):
            return CliRunner().invoke(loopline, ["tenant", *arguments])

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run it and return the one object on its stdout."""
        result = self.run(*arguments, "--output", "json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def made(self, tenant: str) -> Mapping[str, Any]:
        """Make a tenant, with an account of its own where there can be one."""
        return self.json("create", tenant, *(["--user", str(ACCOUNTS[tenant])] if IS_ROOT else []))

    def environment(self, tenant: str) -> Path:
        """Return a tenant's environment file."""
        return self.root / tenant / "environment.yaml"

    def fields(self, tenant: str) -> dict[str, str]:
        """Return what a tenant has for the database."""
        return json.loads((self.root / tenant / "secrets/database").read_text())

    @contextmanager
    def as_tenant(self, tenant: str) -> Iterator[None]:
        """Have a tenant's variables."""
        with patch.dict(os.environ, self.variables(tenant)):
            yield

    def variables(self, tenant: str) -> dict[str, str]:
        """Return a tenant's variables."""
        return {FILE: str(self.environment(tenant)), HOME: str(self.root / tenant / "home")}

    def platform(self, tenant: str) -> Platform:
        """Open a tenant's platform, once."""
        if tenant not in self.platforms:
            with self.as_tenant(tenant):
                self.platforms[tenant] = Platform(environment.read())
            self.opened.callback(self.platforms[tenant].close)
        return self.platforms[tenant]

    @cached_property
    def secrets(self) -> Path:
        """Return the folder of the operator's secrets."""
        return self.folder / "operator/secrets"

    def _variables(self) -> dict[str, str]:
        return {"LOOPLINE_TENANTS_ROOT": str(self.root), "LOOPLINE_OPERATOR_SECRETS": str(self.secrets)}


@contextmanager
def world(served: Served, *, signing_in: bool = True) -> Iterator[World]:
    """Give the world of a store that runs; folders lie where other accounts of this machine may come by."""
    folder = Path(mkdtemp(prefix="tenants-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with ExitStack() as opened:
            made = World(folder, served, opened)
            made.secrets.mkdir(parents=True, mode=0o700)
            (made.secrets / "postgresql").write_text(served.store.url)
            for file in SHIPPED.iterdir():
                shutil.copy(file, made.on.parent / file.name)
            made.on.parent.chmod(0o700)
            if signing_in:
                with (made.on.parent / "environment.yaml").open("a") as out:
                    out.write(SIGN_IN)
            yield made
    finally:
        shutil.rmtree(folder)
