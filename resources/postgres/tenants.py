"""Tenant store on PostgreSQL: a database and a role for each tenant.

A database of its own, because catalogs are a database's: in one that is shared whoever is in reads the names of all
tables and columns. In it are schemas for what must not take each other's version of the tables for its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, field_validator

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Permanent, StoreUnavailable
from loopline.resources.postgres.delivery import connected
from loopline.resources.postgres.failures import told

if TYPE_CHECKING:
    from psycopg2.extensions import connection

SCHEMAS = ("ledger", "dagster", "registry")
"""What a tenant's database has from the beginning; the field of each name is a URL that finds its tables there."""
_LONGEST = 63
"""Bytes of a name; PostgreSQL cuts off what is beyond, and takes two such names for one."""
_OPEN_TO_ALL = ("postgres", "template1")
"""Databases of every server that let everybody in until somebody says otherwise."""
_NO_RIGHT, _IN_USE, _DEPENDED_ON = "42501", "55006", "2BP01"
_NEEDS = "give the administrator's role CREATEROLE and CREATEDB, or let a superuser do it"
_LEAVES_SECONDS = 10


class PostgresTenants(TenantStore):
    """A database and a role for each tenant, both called ``prefix`` and its name.

    ``url`` is an administrator's, whose role may make roles and databases; what a tenant gets differs from it in role,
    password and database. ``connections`` is how many a tenant may have at once. The server has to ask roles for
    passwords: where it does not, no tenant is made.
    """

    extras = ("postgres",)
    fields: ClassVar[tuple[str, ...]] = ("url", *SCHEMAS)
    url: str
    prefix: str = Field("tenant_", min_length=1)
    connections: int = Field(default=60, ge=1)

    @field_validator("url")
    @classmethod
    def _without_options(cls, url: str) -> str:
        if "options=" in urlsplit(url).query:
            raise ValueError("has options of its own, where a tenant's schema is to stand: leave them away")
        return url

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Make role and database, shut the role out of all others, then open its login and let it make its schemas."""
        name = self._name(tenant)
        with self._ruling() as ruler:
            if not self._is_role(ruler, name):
                _say(ruler, "CREATE ROLE {} NOLOGIN", name)
            self._take_back(ruler, name)
            self._refuse_powerful(ruler, name)
            if not _ask(ruler, "SELECT 1 FROM pg_database WHERE datname = %s", name):
                _say(ruler, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false", name)
            self._give_rights(ruler, name)
            self._shut_out(ruler, name)
            login = f"ALTER ROLE {{}} LOGIN CONNECTION LIMIT {self.connections} PASSWORD {{text}}"
            _say(ruler, login, name, text=_verifier(password, name, ruler))
        self._make_schemas(name, password)
        return {"url": self._url(name, password)} | {each: self._url(name, password, each) for each in SCHEMAS}

    def suspend(self, tenant: str) -> None:
        """Take the login away, then end the sessions that are there."""
        name = self._name(tenant)
        with self._ruling() as ruler:
            if self._is_role(ruler, name):
                _say(ruler, "ALTER ROLE {} NOLOGIN", name)
                self._take_back(ruler, name)
                self._end_sessions(ruler, name)

    def resume(self, tenant: str) -> None:
        """Give the login back; the password is what it was."""
        name = self._name(tenant)
        with self._ruling() as ruler:
            if self._is_role(ruler, name):
                _say(ruler, "ALTER ROLE {} LOGIN", name)

    def delete(self, tenant: str) -> None:
        """Shut the role out, drop the database with whoever is in it, and the role last."""
        self.suspend(tenant)
        name = self._name(tenant)
        with self._ruling() as ruler:
            _say(ruler, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
            _say(ruler, "DROP ROLE IF EXISTS {}", name)

    def holds(self, tenant: str) -> tuple[str, ...]:
        """Name role, database, what lies in that, and rights that the role was given elsewhere."""
        name = self._name(tenant)
        with self._ruling() as ruler:
            found = [f"role {name}"] if self._is_role(ruler, name) else []
            found += [f"rights of {name} in database {other}" for (other,) in _ask(ruler, _ELSEWHERE, name, name, name)]
            database = _ask(ruler, "SELECT datallowconn FROM pg_database WHERE datname = %s", name)
        if database != [(True,)]:  # nobody was in one whose making was cut off
            return (*found, *(f"database {name}" for _ in database))
        with self._connected(self._to(name)) as inside:
            return (*found, f"database {name}", *(f"{what} {each}" for what, each in _ask(inside, _CONTENT)))

    def is_open(self, tenant: str) -> bool:
        """Look at role and database."""
        name = self._name(tenant)
        with self._ruling() as ruler:
            return bool(_ask(ruler, _IS_OPEN, name, name))

    def stored_bytes(self, tenant: str) -> int:
        """Ask for the database's size; one that is empty has some seven megabytes of catalogs."""
        name = self._name(tenant)
        with self._ruling() as ruler:
            found = _ask(ruler, "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s", name)
        return int(found[0][0]) if found else 0

    def _name(self, tenant: str) -> str:
        name = f"{self.prefix}{tenant}"
        if "\0" in name or len(name.encode()) > _LONGEST:
            raise Permanent(f"{tenant!r} is no name of a role", f"take {_LONGEST - len(self.prefix)} letters at most")
        return name

    def _is_role(self, ruler: connection, name: str) -> bool:
        return bool(_ask(ruler, "SELECT 1 FROM pg_roles WHERE rolname = %s", name))

    def _take_back(self, ruler: connection, name: str) -> None:
        """Let no tenant be in another's role, whoever granted that: before PostgreSQL 15 that could itself."""
        for given, to in _ask(ruler, _GIVEN, name, name, self.prefix, self.prefix):
            _say(ruler, "REVOKE {} FROM {}", given, to)

    def _refuse_powerful(self, ruler: connection, name: str) -> None:
        """Refuse a role that was there before and may more than a tenant.

        Raises:
            Permanent: it may.
        """
        if _ask(ruler, _POWERFUL, name):
            raise Permanent(
                f"the role {name} may more than a tenant: it rules others, or is one of a group",
                "drop it, or choose another prefix",
            )

    def _give_rights(self, ruler: connection, name: str) -> None:
        """Let the role alone into its database, and an administrator that is no superuser end its sessions.

        A database is everybody's when it is made, so that nobody is let in before.
        """
        _say(ruler, "REVOKE ALL ON DATABASE {} FROM PUBLIC", name)
        _say(ruler, "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {0} TO {0}", name)
        _say(ruler, "ALTER DATABASE {} ALLOW_CONNECTIONS true", name)
        if not _ask(ruler, "SELECT 1 FROM pg_roles WHERE rolname = current_user AND rolsuper"):
            _say(ruler, "GRANT {} TO CURRENT_USER", name)
        with self._connected(self._to(name)) as inside:
            _say(inside, "REVOKE ALL ON SCHEMA public FROM PUBLIC")

    def _shut_out(self, ruler: connection, name: str) -> None:
        """Let the role into no other database.

        Raises:
            Permanent: it may come into one whose rights are not ours to take.
        """
        own = _ask(ruler, "SELECT current_database()")[0][0]
        for (other,) in _ask(ruler, _OTHERS, name, name):
            if other in (*_OPEN_TO_ALL, own):
                _say(ruler, "REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC", other)
        if left := ", ".join(other for (other,) in _ask(ruler, _OTHERS, name, name)):
            raise Permanent(
                f"every role may come into {left}, so tenants would too",
                "let its owner say REVOKE CONNECT, TEMPORARY ON DATABASE … FROM PUBLIC, or take a server of their own",
            )

    def _make_schemas(self, name: str, password: str) -> None:
        """Come in as the tenant and make its schemas, which are its own so.

        Raises:
            Permanent: the server does not ask for its password.
        """
        with self._connected(self._url(name, password)) as inside:
            for each in SCHEMAS:
                _say(inside, "CREATE SCHEMA IF NOT EXISTS {}", each)
        try:
            with self._connected(self._url(name, token_urlsafe())):
                pass
        except LooplineError:
            return
        raise Permanent(
            f"the server lets {name} in with any password, and so everybody as everybody",
            "let pg_hba.conf ask for scram-sha-256 wherever tenants come from",
        )

    def _end_sessions(self, ruler: connection, name: str) -> None:
        """End them, also one that was let in just before, and whoever else is in its database.

        Raises:
            StoreUnavailable: one does not end.
        """
        until = time.monotonic() + _LEAVES_SECONDS
        while _ask(ruler, _END, name, name):
            if time.monotonic() > until:
                raise StoreUnavailable(f"a session of {name} does not end", "try again", 5)
            time.sleep(0.02)

    def _url(self, name: str, password: str, schema: str = "") -> str:
        """Return the URL of the tenant's database, of a schema in it."""
        ours, search = urlsplit(self.url), f"options=-csearch_path%3D{schema}" if schema else ""
        where = f"{quote(name, safe='')}:{quote(password, safe='')}@{ours.netloc.rpartition('@')[2]}"
        query = "&".join(part for part in (ours.query, search) if part)
        return urlunsplit((ours.scheme, where, f"/{quote(name, safe='')}", query, ""))

    def _to(self, name: str) -> str:
        """Return the administrator's URL of a tenant's database, where what a tenant has put there is not looked up.

        A tenant may make a schema that is called as the administrator's role, and operators in it.
        """
        ours = urlsplit(self.url)
        query = "&".join(part for part in (ours.query, "options=-csearch_path%3Dpg_catalog") if part)
        return urlunsplit(ours._replace(path=f"/{quote(name, safe='')}", query=query))

    @contextmanager
    def _ruling(self) -> Iterator[connection]:
        """Connect as the administrator; each statement is a transaction."""
        with self._connected(self.url) as opened:
            yield opened

    @contextmanager
    def _connected(self, url: str) -> Iterator[connection]:
        """Connect, and tell what the server says as the contract wants it."""
        with closing(connected(url)) as opened:
            import psycopg2

            opened.autocommit = True
            try:
                yield opened
            except psycopg2.Error as error:
                raise _told(error, self.url) from error
            except ValueError as error:  # the driver sends no NUL
                raise Permanent(f"PostgreSQL takes no such text: {error}", "leave it out") from error


def _told(error: Any, url: str) -> LooplineError:
    said = told(error, url)
    if error.pgcode == _NO_RIGHT:
        return InvalidEnvironment(said.problem, _NEEDS)
    if error.pgcode == _IN_USE:
        return StoreUnavailable(said.problem, "try again: somebody came in just then", 1)
    if error.pgcode == _DEPENDED_ON:
        return Permanent(said.problem, "take from the role what it was given elsewhere: DROP OWNED BY it there")
    return said


def _ask(opened: connection, statement: str, *values: Any) -> Sequence[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with opened.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall())


def _say(opened: connection, statement: str, *names: str, text: str = "") -> None:
    """Run a statement, with each name quoted in its place, and a text."""
    from psycopg2 import sql

    composed = sql.SQL(statement).format(*map(sql.Identifier, names), text=sql.Literal(text))
    with opened.cursor() as cursor:
        cursor.execute(composed)  # without values: a name may have a percent sign


def _verifier(password: str, name: str, opened: connection) -> str:
    """Return what the server keeps of a password: it is not sent itself, so no log of statements has it."""
    from psycopg2.extensions import encrypt_password

    return str(encrypt_password(password, name, scope=opened, algorithm="scram-sha-256"))


_OTHERS = """
SELECT datname FROM pg_database
WHERE datallowconn AND datname <> %s AND has_database_privilege(%s::name, oid, 'CONNECT') ORDER BY 1"""
_GIVEN = """
SELECT r.rolname, m.rolname FROM pg_auth_members g
JOIN pg_roles r ON r.oid = g.roleid JOIN pg_roles m ON m.oid = g.member
WHERE (r.rolname = %s OR m.rolname = %s) AND starts_with(r.rolname, %s) AND starts_with(m.rolname, %s)"""
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE (usename = %s OR datname = %s) AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
_POWERFUL = """
SELECT 1 FROM pg_roles r WHERE rolname = %s AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication
    OR rolbypassrls OR EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.member = r.oid))"""
_IS_OPEN = """
SELECT 1 FROM pg_roles WHERE rolname = %s AND rolcanlogin AND EXISTS (SELECT 1 FROM pg_database WHERE datname = %s)"""
_ELSEWHERE = """
SELECT DISTINCT d.datname FROM pg_shdepend s
JOIN pg_roles r ON s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid AND r.rolname = %s
JOIN pg_database d ON d.oid = s.dbid OR (s.classid = 'pg_database'::regclass AND d.oid = s.objid)
WHERE d.datname <> %s AND d.datname <> '' AND r.rolname = %s ORDER BY 1"""
_CONTENT = """
SELECT 'schema', nspname::text FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
UNION ALL SELECT CASE relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END,
    nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL SELECT 'large object', oid::text FROM pg_largeobject_metadata ORDER BY 1, 2"""
