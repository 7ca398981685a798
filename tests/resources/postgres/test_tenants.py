"""PostgreSQL keeps tenants apart, each promise on a real server that asks for passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest

from loopline.platform_core.errors import InvalidEnvironment, Permanent
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.tenant_store import (
    MINE,
    THEIRS,
    CutOff,
    TenantStoreKit,
    made,
)
from loopline.resources.postgres import tenants
from loopline.resources.postgres.tenants import PostgresTenants
from tests.emulators.postgresql import OWNER, Postgresql, postgresql
from tests.tenants.served import OfServed, Served
from tests.tenants.stores import postgres
from tests.waiting import until


@pytest.fixture(scope="package")
def served(guarded: Postgresql) -> Iterator[Served]:
    """Share the server of this folder's tests."""
    with postgres.served(guarded) as made:
        yield made


class TestPostgresTenants(OfServed, TenantStoreKit):
    """It keeps every promise, asked by an administrator that is no superuser."""

    every = postgres.ATTEMPTS


def test_what_a_tenant_planted_runs_with_nobody_elses_rights(served: Served) -> None:
    """An operator in a schema that is called as the administrator: by a bare connection it would be taken."""
    fields = made(served.store, MINE)
    with closing(psycopg2.connect(fields["url"])) as connection, connection, connection.cursor() as cursor:
        cursor.execute("""
            CREATE SCHEMA steward;
            CREATE FUNCTION steward.planted(name, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''planted''; END';
            CREATE OPERATOR steward.|| (LEFTARG = name, RIGHTARG = text, FUNCTION = steward.planted);
            CREATE TABLE ledger.note (a int);
        """)
    bare = urlsplit(served.store.url)._replace(path=f"/{postgres.PREFIX}{MINE}")
    with closing(psycopg2.connect(urlunsplit(bare))) as connection, pytest.raises(psycopg2.Error, match="planted"):
        connection.cursor().execute("SELECT nspname || '.' FROM pg_namespace")
    assert "table ledger.note" in served.store.holds(MINE)
    served.store.delete(MINE)


def test_a_role_that_was_given_to_another_is_taken_back(served: Served) -> None:
    """Else who is suspended would go on as another, and who was given it could not be mended."""
    mine, theirs = made(served.store, MINE), made(served.store, THEIRS)
    ruler = served.ruler["url"].format("postgres")
    with closing(psycopg2.connect(ruler)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f'GRANT "{postgres.PREFIX}{MINE}" TO "{postgres.PREFIX}{THEIRS}"')
    there = urlunsplit(urlsplit(theirs["url"])._replace(path=urlsplit(mine["url"]).path))
    inside = psycopg2.connect(there)
    served.store.suspend(MINE)
    with pytest.raises(psycopg2.Error), inside.cursor() as cursor:
        cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.Error, match="permission denied for database"):
        psycopg2.connect(there)
    made(served.store, THEIRS)
    for tenant in (MINE, THEIRS):
        served.store.delete(tenant)


def test_nobody_comes_into_a_database_before_it_is_its_tenants(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever came in while it is made would stay, and read its catalogs; cut off there it is shut, and completed."""
    theirs, say = made(served.store, THEIRS), tenants._say
    there = urlunsplit(urlsplit(theirs["url"])._replace(path=f"/{postgres.PREFIX}{MINE}"))

    def cut_off(opened: Any, statement: str, *names: str, **more: Any) -> None:
        say(opened, statement, *names, **more)
        if statement.startswith("CREATE DATABASE"):
            raise CutOff

    with monkeypatch.context() as patched:
        patched.setattr(tenants, "_say", cut_off)
        with pytest.raises(CutOff):
            made(served.store, MINE)
    with pytest.raises(psycopg2.Error, match=r"not currently accepting connections|permission denied for database"):
        psycopg2.connect(there)
    assert set(served.store.holds(MINE)) == {f"{kind} {postgres.PREFIX}{MINE}" for kind in ("role", "database")}
    guest = served.enter(made(served.store, MINE))
    guest.write("note", "text")
    assert guest.read("note") == "text"
    guest.close()
    with pytest.raises(psycopg2.Error, match="permission denied for database"):
        psycopg2.connect(there)
    for tenant in (MINE, THEIRS):
        served.store.delete(tenant)


def test_a_role_that_may_more_is_no_tenants(served: Served, guarded: Postgresql) -> None:
    """One of the name that was there before and rules others is refused, not taken over."""
    name = f"{postgres.PREFIX}{MINE}"
    ruler = psycopg2.connect(served.ruler["url"].format("postgres"))
    ruler.autocommit = True
    with closing(ruler), ruler.cursor() as cursor:
        cursor.execute(f'CREATE ROLE "{name}" CREATEROLE')
        with pytest.raises(Permanent, match="may more than a tenant"):
            made(served.store, MINE)
        cursor.execute(f'DROP ROLE "{name}"')


def test_what_a_role_was_given_elsewhere_is_named_and_stands_in_the_way(served: Served) -> None:
    """A deletion says whose rights are left and where, and the role stays known until they are taken."""
    made(served.store, MINE)
    role = f"{postgres.PREFIX}{MINE}"
    with closing(psycopg2.connect(served.ruler["url"].format("operators"))) as connection:
        connection.autocommit = True
        connection.cursor().execute(f'GRANT CREATE ON DATABASE operators TO "{role}"')
        assert f"rights of {role} in database operators" in served.store.holds(MINE)
        with pytest.raises(Permanent, match="DROP OWNED BY it there"):
            served.store.delete(MINE)
        assert f"role {role}" in served.store.holds(MINE)
        connection.cursor().execute(f'REVOKE CREATE ON DATABASE operators FROM "{role}"')
    served.store.delete(MINE)
    assert served.store.holds(MINE) == ()


def test_a_database_that_lets_all_in_is_refused(served: Served, guarded: Postgresql) -> None:
    """A tenant could come into it; its owner is who can shut it."""
    guarded.database("open_to_all")
    with pytest.raises(Permanent, match=r"every role may come into .*open_to_all"):
        made(served.store, MINE)
    assert not served.store.is_open(MINE)
    with closing(psycopg2.connect(served.ruler["url"].format("postgres"))) as connection:
        connection.autocommit = True
        connection.cursor().execute("DROP DATABASE open_to_all")
    served.store.delete(MINE)


def test_a_server_that_asks_for_no_password_has_no_tenants() -> None:
    """Whoever may connect would be everybody."""
    port = free_port()
    with postgresql(port) as server:
        rules = server.folder / "data/pg_hba.conf"
        rules.write_text("host all all 127.0.0.1/32 trust\nlocal all all trust\n")
        with closing(psycopg2.connect(server.url, port=port)) as connection:
            connection.autocommit = True
            connection.cursor().execute("SELECT pg_reload_conf()")
        store = PostgresTenants(url=f"postgresql://{OWNER}@127.0.0.1:{port}/postgres")
        until(lambda: not _lets_nobody_in(store))  # it reads its rules a moment later
        with pytest.raises(Permanent, match="lets tenant_retail in with any password"):
            made(store, MINE)


def _lets_nobody_in(store: PostgresTenants) -> bool:
    try:
        return store.is_open("nobody")
    except InvalidEnvironment:
        return True


def test_an_address_with_options_of_its_own_is_refused() -> None:
    """They would stand where a tenant's schema is to be."""
    with pytest.raises(ValueError, match="has options of its own"):
        PostgresTenants(url="postgresql://a@b/c?options=-csearch_path%3Dd")


def test_a_prefix_keeps_tenants_from_what_else_the_server_has() -> None:
    """Without one a tenant called as somebody's database would be given it, and its deletion would drop it."""
    with pytest.raises(ValueError, match="at least 1 character"):
        PostgresTenants(url="postgresql://a@b/c", prefix="")


def test_no_password_is_sent_in_a_statement(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server logs of statements has the verifier of one alone."""
    said, say = [], tenants._say

    def heard(*words: Any, **more: Any) -> None:
        said.append(f"{words[1:]} {more}")
        say(*words, **more)

    monkeypatch.setattr(tenants, "_say", heard)
    served.store.create(MINE, "a password of its own")
    served.store.delete(MINE)
    assert "SCRAM-SHA-256" in str(said)
    assert "a password of its own" not in str(said)
