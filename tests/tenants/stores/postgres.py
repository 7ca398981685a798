"""PostgreSQL that tenants share, and what can be tried from inside a tenant's database, or with its password."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql

from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.tenant_store import NOTE, TEXT, Attempt, Fields
from loopline.resources.postgres import tenants
from loopline.resources.postgres.tenants import SCHEMAS, PostgresTenants
from tests.emulators.postgresql import OWNER, Postgresql, postgresql
from tests.tenants.served import Served, cut_off_at

PREFIX = "tenant_"


class PostgresGuest:
    """A tenant's connection; a text lies in a table of its name."""

    def __init__(self, fields: Fields) -> None:
        self.connection = psycopg2.connect(fields["ledger"])
        self.connection.autocommit = True

    def write(self, name: str, text: str) -> None:
        """Put a row into a table."""
        table = sql.Identifier(name)
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} (text text)").format(table))
            cursor.execute(sql.SQL("TRUNCATE {}").format(table))
            cursor.execute(sql.SQL("INSERT INTO {} VALUES (%s)").format(table), (text,))

    def read(self, name: str) -> str:
        """Read it."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT text FROM {}").format(sql.Identifier(name)))
            return str(cursor.fetchone()[0])

    def close(self) -> None:
        """Disconnect."""
        self.connection.close()


@contextmanager
def served(server: Postgresql | None = None) -> Iterator[Served]:
    """Run a server that asks for passwords; its administrator is no superuser, but may make roles and databases."""
    with ExitStack() as opened:
        server = server or opened.enter_context(postgresql(free_port()))
        with closing(psycopg2.connect(server.database("operators"))) as connection:
            connection.autocommit = True
            connection.cursor().execute("""
                CREATE ROLE steward LOGIN CREATEROLE CREATEDB PASSWORD 'steward';
                CREATE ROLE nobody LOGIN PASSWORD 'nobody';
                ALTER DATABASE operators OWNER TO steward;
                GRANT CONNECT ON DATABASE operators TO nobody;
                REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
            """)
        where = f"127.0.0.1:{server.port}"
        ruler = f"postgresql://{OWNER}:{server.password}@{where}/{{}}"
        yield Served(
            PostgresTenants(url=f"postgresql://steward:steward@{where}/operators"),
            PostgresGuest,
            dict.fromkeys(("url", *SCHEMAS), ruler),
            cut_off,
            PostgresTenants(url=f"postgresql://steward:steward@127.0.0.1:{free_port()}/operators"),
            PostgresTenants(url=f"postgresql://nobody:nobody@{where}/operators"),
        )


def cut_off(request: int) -> AbstractContextManager[None]:
    """Let the n-th connection or statement be the one that is not made any more."""
    return cut_off_at(request, tenants, "connected", "_ask", "_say")


ATTEMPTS: list[Attempt] = []


def url(fields: Fields, tenant: str, field: str = "url") -> str:
    """Return a URL of a tenant's database for whoever has ``fields``; an administrator's has a gap for its name."""
    name = quote(PREFIX + tenant)
    if "{}" in fields[field]:
        search = "" if field == "url" else f"?options=-csearch_path%3D{field}"
        return fields[field].format(name) + search
    return urlunsplit(urlsplit(fields[field])._replace(path=f"/{name}"))


def said(where: str, statement: str, *values: Any) -> Sequence[Any]:
    """Run a statement at a URL and return its rows; one that has none gives one that is true."""
    with closing(psycopg2.connect(where, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else [(True,)]


def inside(says: str, statement: str, ruling: bool = False) -> None:
    """Take into the list: a statement in the tenant's database, whose first value has to be true."""

    def act(fields: Fields, tenant: str) -> bool:
        return bool(said(url(fields, tenant, "ledger"), statement)[0][0])

    ATTEMPTS.append(Attempt(f"in its database: {says}", act, ruling))


def beside(says: str, statement: str) -> None:
    """Take into the list: a statement from inside the own database about a tenant, which only an administrator may."""

    def act(fields: Fields, tenant: str) -> bool:
        own = urlsplit(fields["url"]).path.strip("/{}") or "operators"
        where = fields["url"].format(own)
        role, name = sql.Identifier(PREFIX + tenant), sql.Literal(PREFIX + tenant)
        with closing(psycopg2.connect(where)) as connection:
            composed = sql.SQL(statement).format(role=role, name=name).as_string(connection)
        return bool(said(where, composed)[0][0])

    ATTEMPTS.append(Attempt(f"from beside: {says}", act, ruling=True))


# to come into the database with what one has, and do there whatever
inside("read the note", f"SELECT text = '{TEXT}' FROM {NOTE}")
inside("count rows", f"SELECT count(*) FROM {NOTE}")
inside("overwrite", f"UPDATE {NOTE} SET text = 'mine' RETURNING true")
inside("insert", f"INSERT INTO {NOTE} VALUES ('mine') RETURNING true")
inside("delete rows", f"DELETE FROM {NOTE} RETURNING true")
inside("truncate", f"TRUNCATE {NOTE}")
inside("drop the table", f"DROP TABLE {NOTE}")
inside("rename the table", f"ALTER TABLE {NOTE} RENAME TO gone")
inside("add a column", f"ALTER TABLE {NOTE} ADD COLUMN IF NOT EXISTS mine int")
inside("lock the table", f"BEGIN; LOCK TABLE {NOTE}; COMMIT")
inside("make a view", f"CREATE OR REPLACE VIEW mine AS SELECT * FROM {NOTE}; DROP VIEW mine")
inside("let others read", f"GRANT SELECT ON {NOTE} TO PUBLIC")
inside("put a rule on it", f"CREATE OR REPLACE RULE r AS ON DELETE TO {NOTE} DO ALSO NOTHING; DROP RULE r ON {NOTE}")
inside("make a table", "CREATE TABLE IF NOT EXISTS mine (a int); DROP TABLE mine")
inside("make a schema", "CREATE SCHEMA mine; DROP SCHEMA mine")
inside("make a function", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION f()")
inside("see names of tables", f"SELECT count(*) FROM pg_class WHERE relname = '{NOTE}'")
inside("see names of columns", f"SELECT count(*) FROM information_schema.columns WHERE table_name = '{NOTE}'")
inside("see estimates of rows", f"SELECT count(*) FROM pg_stat_user_tables WHERE relname = '{NOTE}'")
inside("make a temporary table", "CREATE TEMP TABLE mine (a int)")
inside("write a large object", "SELECT lo_unlink(lo_from_bytea(0, 'mine')) = 1")
inside("drop the ledger's schema", "DROP SCHEMA IF EXISTS ledger CASCADE; CREATE SCHEMA ledger")


def _at_schema(field: str) -> None:
    """Take into the list: what is done in one of the schemas by its own URL."""
    made = "CREATE TABLE IF NOT EXISTS runs (a int); INSERT INTO runs VALUES (1); SELECT count(*) FROM runs"
    statements = {
        "write and read a table": made,
        "name it whole": f"CREATE TABLE IF NOT EXISTS {field}.runs (a int); SELECT count(*) + 1 FROM {field}.runs",
        "drop it all": f"DROP SCHEMA IF EXISTS {field} CASCADE; CREATE SCHEMA {field}",
        "list its tables": f"SELECT count(*) FROM pg_namespace WHERE nspname = '{field}'",
        "take over its version": "CREATE TABLE IF NOT EXISTS alembic_version (v text); TRUNCATE alembic_version",
    }
    for says, statement in statements.items():
        ATTEMPTS.append(
            Attempt(
                f"by the URL of {field}: {says}",
                lambda fields, tenant, s=statement: bool(said(url(fields, tenant, field), s)[0][0]),
            )
        )


for each in SCHEMAS:
    _at_schema(each)


def coming(says: str, where: Callable[[Fields, str], str]) -> None:
    """Take into the list: another way to say whose database is meant, by which a URL could be misread."""

    def act(fields: Fields, tenant: str) -> bool:
        return bool(said(where(fields, tenant), "SELECT current_database() = %s", PREFIX + tenant)[0][0])

    ATTEMPTS.append(Attempt(f"come in {says}", act))


def _parts(fields: Fields) -> tuple[str, str, str, str]:
    parts = urlsplit(fields["url"])
    return parts.hostname or "", str(parts.port), parts.username or "", parts.password or ""


def _words(fields: Fields, tenant: str, role: str = "", password: str | None = None) -> str:
    host, port, own, ours = _parts(fields)
    kept = ours if password is None else password
    return f"host={host} port={port} user='{role or own}' password='{kept}' dbname='{PREFIX}{tenant}'"


coming("by a parameter in the URL", lambda fields, tenant: f"{fields['url']}?dbname={PREFIX}{tenant}")
coming("by another scheme", lambda fields, tenant: url(fields, tenant).replace("postgresql", "postgres"))
coming("by words", _words)
coming("by the database's name alone", lambda f, t: url(f, t).replace(f"/{PREFIX}{t}", f"/{quote(PREFIX + t)}"))
coming("as the tenant with the own password", lambda f, t: _words(f, t, PREFIX + t))
coming("with options", lambda fields, tenant: url(fields, tenant) + "?options=-csearch_path%3Dledger")
coming("as one that replicates nothing", lambda fields, tenant: url(fields, tenant) + "?replication=false")
coming("by a name of the application", lambda f, t: url(f, t) + f"?application_name={PREFIX}{t}")
coming("to write", lambda fields, tenant: url(fields, tenant) + "?target_session_attrs=read-write")
ATTEMPTS.extend(
    Attempt(f"guess the password {given!r}, or one's own", lambda f, t, g=given: _guessed(f, t, g))
    for given in ("postgres", "trust", "", "tenant", "' OR '1'='1")
)


def _guessed(fields: Fields, tenant: str, password: str) -> bool:
    """Try a guess, then one's own password, as the tenant's role."""
    for tried in (password.replace("'", "\\'"), None):
        try:
            return bool(said(_words(fields, tenant, PREFIX + tenant, tried), "SELECT true")[0][0])
        except psycopg2.Error:
            continue
    return False


def _copied(fields: Fields, tenant: str) -> bool:
    """Copy a tenant's database, and leave no copy."""
    own = urlsplit(fields["url"]).path.strip("/{}") or "operators"
    where = fields["url"].format(own)
    said(where, f'CREATE DATABASE mine TEMPLATE "{PREFIX}{tenant}"')
    said(where, "DROP DATABASE mine")
    return True


# from beside: as the tenant's role, about it, about the server
beside("be its role", "SET ROLE {role}; SELECT true")
beside("be its role for the session", "SET SESSION AUTHORIZATION {role}; SELECT true")
beside("be given its role", "CREATE ROLE a; GRANT {role} TO a; DROP OWNED BY a; DROP ROLE a; SELECT true")
beside("give it another password", "ALTER ROLE {role} PASSWORD 'mine'; SELECT true")
beside("take its login", "ALTER ROLE {role} NOLOGIN; SELECT true")
beside(
    "let it end", "ALTER ROLE {role} VALID UNTIL '2001-01-01'; ALTER ROLE {role} VALID UNTIL 'infinity'; SELECT true"
)
beside("lead its searches elsewhere", "ALTER ROLE {role} SET search_path = mine; ALTER ROLE {role} RESET search_path")
beside("lead its database's searches", "ALTER DATABASE {role} SET search_path = mine; ALTER DATABASE {role} RESET ALL")
beside("rename its database", "ALTER DATABASE {role} RENAME TO mine; ALTER DATABASE mine RENAME TO {role}")
beside("shut its database", "ALTER DATABASE {role} CONNECTION LIMIT 0; ALTER DATABASE {role} CONNECTION LIMIT -1")
beside("own its database", "ALTER DATABASE {role} OWNER TO CURRENT_USER; ALTER DATABASE {role} OWNER TO steward")
beside("let everybody into its database", "GRANT CONNECT ON DATABASE {role} TO PUBLIC")
beside("let everybody make schemas there", "GRANT CREATE ON DATABASE {role} TO PUBLIC")
beside("shut it out of its database", "REVOKE CONNECT ON DATABASE {role} FROM {role}")
ATTEMPTS.append(Attempt("from beside: copy its database", _copied, ruling=True))
beside("drop its database", "DROP DATABASE {role} WITH (FORCE)")
beside("measure its database", "SELECT pg_database_size({name}) > 0")
beside("see its password's verifier", "SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = {name}")
beside("see it as a shadow", "SELECT passwd IS NOT NULL FROM pg_shadow WHERE usename = {name}")
beside("count its rows written", "SELECT pg_stat_reset_single_table_counters(0) IS NOT NULL")
beside("make a role", "CREATE ROLE b; DROP ROLE b; SELECT true")
beside("make a superuser", "CREATE ROLE b SUPERUSER; DROP ROLE b; SELECT true")
beside("be let see everything", "CREATE ROLE b; GRANT pg_read_all_data TO b; DROP ROLE b; SELECT true")
beside("name another's objects one's own", "REASSIGN OWNED BY {role} TO {role}; SELECT true")
beside("comment on its role", "COMMENT ON ROLE {role} IS 'mine'; COMMENT ON ROLE {role} IS NULL")
beside("comment on its database", "COMMENT ON DATABASE {role} IS NULL")
beside("read a file of the server", "SELECT length(pg_read_file('PG_VERSION')) > 0")
beside("read the server's rules", "SELECT count(*) FROM pg_hba_file_rules")
beside("list the server's files", "SELECT count(*) FROM pg_ls_dir('base')")
beside("copy from a file", "CREATE TEMP TABLE t (a text); COPY t FROM '/etc/hostname'; SELECT true")
beside("copy from a program", "CREATE TEMP TABLE t (a text); COPY t FROM PROGRAM 'echo mine'; SELECT true")
beside("write a file", "COPY (SELECT 1) TO '/tmp/loopline-of-nobody'; SELECT true")
beside("take a file as a large object", "SELECT lo_unlink(lo_import('/etc/hostname')) = 1")
beside("change the server's settings", "ALTER SYSTEM SET work_mem = '5MB'")
beside("read settings again", "SELECT pg_reload_conf()")
beside("read files as tables", "CREATE EXTENSION file_fdw; DROP EXTENSION file_fdw; SELECT true")
beside("ask another database", "CREATE EXTENSION dblink; DROP EXTENSION dblink; SELECT true")
beside("join another database", "CREATE EXTENSION postgres_fdw; DROP EXTENSION postgres_fdw; SELECT true")
beside("end the server's log here", "SELECT pg_switch_wal() IS NOT NULL")
beside("mark a place in the server's log", "SELECT pg_create_restore_point('mine') IS NOT NULL")
beside(
    "write in C", "CREATE FUNCTION f(int) RETURNS int LANGUAGE internal AS 'int4abs'; DROP FUNCTION f(int); SELECT true"
)
beside(
    "hear every command",
    "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; "
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION e(); "
    "DROP EVENT TRIGGER e; DROP FUNCTION e(); SELECT true",
)
beside(
    "subscribe to another",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=mine' PUBLICATION p WITH (connect = false); "
    "ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s; SELECT true",
)
beside("publish everything", "CREATE PUBLICATION p FOR ALL TABLES; DROP PUBLICATION p; SELECT true")
