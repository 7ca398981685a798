"""Each row is taken once: whoever is killed, however late it is committed, whatever its watermark."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, StoreUnavailable
from loopline.resources.postgres.event_source import PostgresEventSource
from loopline.resources.postgres.session import PostgresSession
from loopline.resources.tables import clocks
from loopline.resources.taking import page_log
from loopline.resources.taking.page_store import FolderShelf
from tests.emulators import faults
from tests.resources.postgres.reading import Make, Run, taken
from tests.resources.tables.deaths import Died, dying
from tests.s3_server import S3Server

MANY = 60
"""Steps of the story of writers: enough that commits cross looks in each way."""


@pytest.mark.parametrize("key", ["pages/", "log/"])
@pytest.mark.parametrize("is_written", [False, True])
def test_who_dies_while_taking_loses_and_doubles_nothing(
    key: str, is_written: bool, make: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or behind each of a page's two files, for every page in turn."""
    run("CREATE TABLE orders AS SELECT n AS id, now() - interval '1 day' AS at FROM generate_series(1, 5) n")
    for number in range(1, 4):
        with dying(monkeypatch, key, number, is_written=is_written), suppress(Died):
            make(table={"page_rows": 2}).arrivals("shop/orders")
    assert sorted(map(str, taken(make(table={"page_rows": 2})))) == ["1", "2", "3", "4", "5"]


def test_a_lost_answer_is_no_lost_race(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of which it is said that its number is taken was written by ourselves: the look goes on."""
    run("CREATE TABLE orders AS SELECT n AS id, now() AS at FROM generate_series(1, 3) n")
    write_if = FolderShelf.write_if
    monkeypatch.setattr(FolderShelf, "write_if", lambda *args: write_if(*args) and False)
    assert sorted(map(str, taken(make(table={"page_rows": 1})))) == ["1", "2", "3"]


def test_several_processes_share_a_table_and_one_is_killed(make: Make, run: Run) -> None:
    """Rows go on coming meanwhile."""
    run("CREATE TABLE orders (id serial, at timestamptz DEFAULT clock_timestamp())")
    events = make(table={"page_rows": 3})
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_takes, args=(events.model_dump(),)) for _ in range(3)]
    for process in processes:
        process.start()
    for step in range(40):
        run("INSERT INTO orders (id) SELECT nextval('orders_id_seq') FROM generate_series(1, %s)", step % 5 + 1)
        if step == 20:
            os.kill(processes[0].pid or 0, signal.SIGKILL)
    for process in processes:
        process.kill()
        process.join(30)
    _settles(events, run)


def _takes(settings: dict[str, Any]) -> None:
    events = PostgresEventSource.model_validate(settings)
    while True:
        events.arrivals("shop/orders")


def _settles(events: PostgresEventSource, run: Run) -> None:
    """Hold what arrived to what is in the table, each row once."""
    [[wanted]] = run("SELECT array_agg(id::text ORDER BY id::text) FROM orders")
    assert sorted(map(str, taken(events))) == wanted
    assert sorted(map(str, taken(events))) == wanted


def test_writers_that_commit_late_in_any_order_lose_nothing(make: Make, run: Run, database: str) -> None:
    """Transactions begin, insert, wait, and commit or roll back while others look: nothing is lost or twice."""
    run("CREATE TABLE orders (id serial, at timestamptz DEFAULT date_trunc('second', clock_timestamp()))")
    chance = random.Random(7)
    with ExitStack() as stack:
        writers = [stack.enter_context(closing(psycopg2.connect(database))) for _ in range(4)]
        sources = [make(table={"page_rows": 4}), make(table={"page_rows": 4})]
        for _ in range(MANY):
            writer, does = chance.choice(writers), chance.random()
            if does < 0.5:
                rows = chance.randint(1, 3)
                writer.cursor().execute("INSERT INTO orders SELECT FROM generate_series(1, %s)", (rows,))
            elif does < 0.7:
                writer.commit()
            elif does < 0.75:
                writer.rollback()
            else:
                chance.choice(sources).arrivals("shop/orders")
        for writer in writers:
            writer.commit()
    for events in (*sources, make()):
        _settles(events, run)


def test_who_comes_second_forgets_his_page(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes more rows between what he read and what he writes; he goes on behind them."""
    run("CREATE TABLE orders AS SELECT 1 AS id, now() AS at")
    first, second, write_if = make(), make(), FolderShelf.write_if
    is_overtaken = False

    def overtaken(self: FolderShelf, *args: Any) -> bool:
        nonlocal is_overtaken
        if not is_overtaken:
            is_overtaken = True
            run("INSERT INTO orders VALUES (2, now())")
            assert taken(first) == ["1", "2"]
        return write_if(self, *args)

    monkeypatch.setattr(FolderShelf, "write_if", overtaken)
    assert taken(second) == ["1", "2"]
    assert taken(make()) == ["1", "2"]


def test_pages_may_lie_in_an_object_store(make: Make, run: Run, s3_server: S3Server) -> None:
    """Two sources that know nothing of each other take turns there, and a page's number is given once."""
    run("CREATE TABLE orders AS SELECT n AS id, now() AS at FROM generate_series(1, 4) n")
    where = {"landing": s3_server.place(), "storage_options": {**s3_server.options, "allow_http": "true"}}
    one, other = (make(table={"page_rows": 3}, **where) for _ in range(2))
    assert sorted(map(str, taken(one))) == ["1", "2", "3", "4"]
    run("INSERT INTO orders VALUES (5, now())")
    assert sorted(map(str, taken(other))) == sorted(map(str, taken(one))) == ["1", "2", "3", "4", "5"]
    assert len(one.arrivals("shop/orders")) == 3


def test_a_store_of_pages_whose_answers_are_lost_holds_each_row_once(make: Make, run: Run, s3_server: S3Server) -> None:
    """Each page's two files are there, and nobody has heard of it; who looks goes on, or the next one does."""
    run("CREATE TABLE orders AS SELECT n AS id, now() AS at FROM generate_series(1, 3) n")
    landing = s3_server.place()
    with faults.FaultProxy(s3_server.url) as proxy:
        where = {"landing": landing, "storage_options": {**s3_server.options_at(proxy.url), "allow_http": "true"}}
        rule = proxy.add(faults.every(faults.method("PUT"), faults.one_later_each_time()), faults.lose_response())
        for _ in range(3):
            with suppress(StoreUnavailable):
                make(table={"page_rows": 1}, **where).arrivals("shop/orders")
        assert rule.taken > 2
        proxy.clear()
        assert sorted(map(str, taken(make(table={"page_rows": 1}, **where)))) == ["1", "2", "3"]


def test_rows_with_one_watermark_are_more_than_a_page(make: Make, run: Run) -> None:
    """A load gives all rows one instant; rows that are there twice come twice, and those that follow under it too."""
    run("CREATE TABLE orders AS SELECT n % 5 AS id, '2020-01-01'::timestamptz AS at FROM generate_series(1, 10) n")
    events = make(table={"page_rows": 3})
    assert sorted(map(str, taken(events))) == sorted("0123401234")
    assert len(events.arrivals("shop/orders")) == 4
    run("INSERT INTO orders VALUES (1, '2020-01-01')")
    assert sorted(map(str, taken(events))) == sorted("01234012341")
    assert len({arrival.content for arrival in events.arrivals("shop/orders")}) == 5


def test_a_row_that_comes_later_than_said_is_not_taken(make: Make, run: Run) -> None:
    """``late_seconds`` bounds it; within them a row below the last watermark is taken, as known from then on."""
    run("CREATE TABLE orders AS SELECT 'last' AS id, now() AS at")
    events = make(table={"late_seconds": 60})
    assert taken(events) == ["last"]
    before = datetime.now(UTC)
    run("INSERT INTO orders VALUES ('late', now() - interval '50 s'), ('too late', now() - interval '70 s')")
    assert taken(events) == ["last", "late"]
    assert events.arrivals("shop/orders")[1].arrived_at >= before


def test_rows_of_a_day_come_until_it_is_over(make: Make, run: Run) -> None:
    """And for ``late_seconds`` more: a day's rows are all asked for again, and known."""
    run("CREATE TABLE orders AS SELECT n::text AS id, current_date - n AS at FROM generate_series(-1, 3) n")
    events = make(table={"late_seconds": 86_400})
    for _ in range(3):
        assert taken(events) == ["3", "2", "1", "0", "-1"]
    run(
        "INSERT INTO orders VALUES ('today', current_date), ('yesterday', current_date - 1), ('late', current_date - 2)"
    )
    assert taken(events)[5:] == ["yesterday", "today"]
    assert taken(make(table={"late_seconds": 0}))[5:] == ["yesterday", "today"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_row_that_goes_back_to_what_it_was_is_another(is_kept: bool, make: Make, run: Run, tmp_path: Path) -> None:
    """It is held against the last look, or against all pages where what that saw was not kept, as once it was not."""
    run("CREATE TABLE orders AS SELECT n AS id, 10 AS price, current_date AS at FROM generate_series(1, 2) n")
    wanted = ["10", "10"]
    for price in (10, 99, 10, 10, 99):
        run("UPDATE orders SET price = %s WHERE id = 1", price)
        wanted += [] if price == int(wanted[-1]) else [str(price)]
        assert taken(make(), column="price") == wanted
    if not is_kept:
        shutil.rmtree(tmp_path / "landing/.taken/shop/orders/answers")
    for number in range(3, 6):
        run("INSERT INTO orders VALUES (%s, 5, current_date)", number)
        wanted.append("5")
        assert taken(make(), column="price") == wanted


@pytest.mark.parametrize(
    ("ats", "in_order"),
    [
        ("now(), now() + interval '1 us'", True),
        ("now(), now()", False),
        ("current_date, current_date", False),
        ("2, 1", True),
        ("2, 1, 2", False),
        ("0.1::numeric, 0.9", True),
        ("1.0::numeric, 1.00", False),
        ("1, 'Infinity'::float8, 'NaN'", False),
    ],
)
def test_a_page_is_in_order_where_watermarks_are(ats: str, in_order: bool, make: Make, run: Run) -> None:
    """Rows with one watermark may be versions of one key, of which nobody knows the newer."""
    run(f"CREATE TABLE orders AS SELECT at FROM unnest(ARRAY[{ats}]) at")
    events = make()
    [arrival] = events.arrivals("shop/orders")
    assert arrival.in_order is in_order
    ordered = run("SELECT at::text FROM orders ORDER BY at")
    if in_order and "now" not in ats:
        assert [[at] for at in taken(events, column="at")] == [[*each] for each in ordered]


@pytest.mark.parametrize("ahead", ["database", "machine", "both"])
@pytest.mark.parametrize("is_one", [True, False])
def test_a_clock_that_is_wrong_for_a_look_jumps_no_row(
    ahead: str, is_one: bool, make: Make, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour ahead, in one process or in several that know nothing of each other; then an hour behind."""
    run("CREATE TABLE orders (id int, at timestamptz)")
    one = make()
    wanted: list[str | None] = []
    for hours in (0, 1, 0, 0, -1, 0):
        theirs, ours = (hours if ahead in {name, "both"} else 0 for name in ("database", "machine"))
        monkeypatch.setattr(PostgresSession, "now_is", f"SELECT now() + interval '{theirs} hours'")
        monkeypatch.setattr(clocks, "ours", lambda hours=ours: datetime.now(UTC) + timedelta(hours=hours))
        for more in (theirs, 0):
            wanted.append(str(len(wanted) + 1))
            run("INSERT INTO orders VALUES (%s, now() + make_interval(hours => %s))", wanted[-1], max(more, 0))
        assert sorted(map(int, map(str, taken(one if is_one else make())))) == [*map(int, map(str, wanted))]


def test_a_clock_that_went_back_is_told_once(
    make: Make, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a process that finds rows read in what is the future by now; and again when it happens again."""
    run("CREATE TABLE orders AS SELECT 1 AS id, now() AS at")
    taken(make())
    for step in (2, 3):
        with monkeypatch.context() as patch:
            patch.setattr(PostgresSession, "now_is", "SELECT now() + interval '1 hour'")
            patch.setattr(clocks, "ours", lambda: datetime.now(UTC) + timedelta(hours=1))
            run("INSERT INTO orders VALUES (%s, now() + interval '1 hour')", step)
            taken(make())
        caplog.clear()
        events = make()
        for _ in range(3):
            taken(events)
        [told] = [record.message for record in caplog.records]
        assert "the clock went back" in told
        run("INSERT INTO orders VALUES (%s, now())", step + 10)
        taken(events)


def test_a_look_costs_no_more_with_history(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for the rows of the last minutes, and reads no page to know them."""
    hours = "generate_series(now() - interval '400 hours', now() - interval '1 hour', '1 hour') d"
    run(f"CREATE TABLE orders AS SELECT row_number() OVER () AS id, d AS at FROM {hours}")
    assert len(taken(make())) == 400
    run("INSERT INTO orders VALUES (401, now())")
    read, fetched = _counting(monkeypatch)
    assert len(make().arrivals("shop/orders")) == 201
    assert (sum(fetched), read) == (1 + 2, [])  # the time, and the last row with the new one


def test_numbers_may_be_late_by_so_many(make: Make, run: Run) -> None:
    """A sequence's numbers are given before they are committed."""
    run("CREATE TABLE orders AS SELECT n AS id, n AS at FROM generate_series(1, 400) n WHERE n NOT IN (249, 251)")
    events = make(table={"late_numbers": 150})
    assert len(taken(events)) == 398
    run("INSERT INTO orders VALUES (251, 251), (249, 249), (401, 401)")
    assert taken(events)[398:] == ["251", "401"]


@pytest.mark.parametrize(
    ("kind", "wrong"), [("numeric", "NaN"), ("numeric", "1e5000"), ("float8", "Infinity"), ("bigint", "9000000000000")]
)
def test_a_number_that_is_far_off_hides_no_other(kind: str, wrong: str, make: Make, run: Run) -> None:
    """It is taken, and so are those that come below it, each once."""
    run(f"CREATE TABLE orders (id text, at {kind})")
    for step in range(1, 6):
        rows = "INSERT INTO orders SELECT n, n FROM generate_series(%s, %s) n"
        run("INSERT INTO orders VALUES ('wrong', %s)", wrong)
        assert taken(make()).count("wrong") == step
        run(rows, step * 40 - 39, step * 40)
        assert len(taken(make(table={"page_rows": 7}))) == step * 41


def test_a_sequence_that_jumped_is_read_on_from_there(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred numbers are no outliers: a look costs what is above them, and no page of history is read."""
    run("CREATE TABLE orders AS SELECT n AS id, n AS at FROM generate_series(1, 3000) n")
    run("INSERT INTO orders SELECT n, n FROM generate_series(9000001, 9000101) n")
    assert len(taken(make(table={"late_numbers": 50}))) == 3101
    run("INSERT INTO orders VALUES (9000102, 9000102)")
    read, fetched = _counting(monkeypatch)
    assert len(make(table={"late_numbers": 50}).arrivals("shop/orders")) == 2
    assert (sum(fetched), read) == (1 + 100 + 1, [])  # the time, the rows, and the new one


def _counting(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[int]]:
    """Give what counts: names of pages that are read, and rows of each fetch."""
    read, fetched = list[str](), list[int]()
    content, fetch = page_log.PageLog.content, PostgresSession._fetched

    def reads(self: page_log.PageLog, name: str) -> bytes | None:
        read.append(name)
        return content(self, name)

    def fetches(self: PostgresSession, cursor: Any) -> Any:
        rows = fetch(self, cursor)
        fetched.append(len(rows))
        return rows

    monkeypatch.setattr(page_log.PageLog, "content", reads)
    monkeypatch.setattr(PostgresSession, "_fetched", fetches)
    return read, fetched


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_watermarks_without_bounds_stop_nothing(kind: str, make: Make, run: Run) -> None:
    """Nor do those that no date of Python's can be: each row comes once, also where a page ends among them."""
    run(f"CREATE TABLE orders (id text, at {kind})")
    run("INSERT INTO orders VALUES ('ever', 'infinity'), ('far', '20000-01-01'), ('ever too', 'infinity')")
    run("INSERT INTO orders VALUES ('first', '0001-01-01'), ('last', '9999-12-31 23:59:59.999999')")
    one = {"page_rows": 1}
    assert sorted(map(str, taken(make(table=one)))) == ["ever", "ever too", "far", "first", "last"]
    run("INSERT INTO orders VALUES ('long ago', '0044-03-15 BC'), ('never', '-infinity'), ('now', now())")
    assert "now" in taken(make(table=one))
    run("INSERT INTO orders VALUES ('again', 'infinity'), ('then', now())")
    wanted = ["again", "ever", "ever too", "far", "first", "last", "now", "then"]
    for _ in range(2):
        assert sorted(map(str, taken(make(table=one)))) == wanted


def test_a_page_may_end_among_rows_of_no_time(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look of a table that begins with them takes them all, whenever it ends."""
    from loopline.resources.taking import event_source

    monkeypatch.setattr(event_source, "LOOK_SECONDS", -1)
    run("CREATE TABLE orders AS SELECT n AS id, '-infinity'::timestamptz AS at FROM generate_series(1, 3) n")
    run("INSERT INTO orders VALUES (4, now())")
    for count in range(1, 5):
        assert len(taken(make(table={"page_rows": 1}))) == count
    assert sorted(map(str, taken(make(table={"page_rows": 1})))) == ["1", "2", "3", "4"]


def test_numbers_may_have_fractions(make: Make, run: Run) -> None:
    """Seconds since 1970, for example."""
    run("CREATE TABLE orders AS SELECT n AS id, n / 4::numeric AS at FROM generate_series(-2, 2) n")
    events = make(table={"late_numbers": 0, "page_rows": 2})
    for _ in range(2):
        assert taken(events) == ["-2", "-1", "0", "1", "2"]
    run("INSERT INTO orders VALUES (3, 0.1)")
    assert taken(events)[5:] == ["3"]


def test_a_row_without_a_watermark_holds_up_no_other(make: Make, run: Run) -> None:
    """The others are taken; who waits for more is told of it, until it is mended."""
    run("CREATE TABLE orders AS SELECT n AS id, now() AS at FROM generate_series(1, 2) n")
    run("INSERT INTO orders VALUES (3, NULL)")
    events = make()
    found = events.arrivals("shop/orders")
    with pytest.raises(ContractBroken, match=r"'at' is null.*coalesce"):
        events.arrivals("shop/orders", known={arrival.arrival_id for arrival in found})
    run("UPDATE orders SET at = now() WHERE at IS NULL")
    assert taken(events) == ["1", "2", "3"]


def test_a_row_that_changes_comes_again(make: Make, run: Run) -> None:
    """As it is then; one that was deleted stays as it came."""
    run("CREATE TABLE orders AS SELECT n AS id, 'new' AS state, now() AS at FROM generate_series(1, 2) n")
    events = make()
    assert taken(events, column="state") == ["new", "new"]
    run("UPDATE orders SET state = 'paid', at = now() WHERE id = 1")
    run("DELETE FROM orders WHERE id = 2")
    assert taken(events, column="state") == ["new", "new", "paid"]


def test_a_schema_that_changes_makes_no_row_another(make: Make, run: Run) -> None:
    """Columns come, go and change places: rows that were taken are known by the others; a new kind is refused."""
    run("CREATE TABLE orders AS SELECT n AS id, 'x' AS old, now() AS at FROM generate_series(1, 2) n")
    events = make()
    assert taken(events) == ["1", "2"]
    run("ALTER TABLE orders ADD COLUMN fresh text DEFAULT 'y', DROP COLUMN old")
    run("INSERT INTO orders (id, at) VALUES (3, now())")
    assert taken(events) == ["1", "2", "3"]
    last = events.arrivals("shop/orders")[-1]
    assert events.read("shop/orders", last).column_names == ["id", "at", "fresh", "_line", "_malformed"]
    run("ALTER TABLE orders DROP COLUMN at, ADD COLUMN at bigint DEFAULT 1")
    known = {arrival.arrival_id for arrival in events.arrivals("shop/orders")}
    with pytest.raises(InvalidEnvironment, match=r"bigint >= timestamp.*or a new source"):
        events.arrivals("shop/orders", known=known)


def test_a_row_that_is_larger_than_a_page_is_one(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next begins another one."""
    from loopline.resources.tables import taking

    monkeypatch.setattr(taking, "MOST_BYTES", 1000)
    run("CREATE TABLE orders AS SELECT repeat(n::text, 5000) AS id, now() AS at FROM generate_series(1, 3) n")
    events = make()
    assert sorted(map(str, taken(events))) == ["1" * 5000, "2" * 5000, "3" * 5000]
    assert len(events.arrivals("shop/orders")) == 3


def test_a_look_ends_in_time_and_the_next_goes_on(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a page at least; history is known when it could be, and a long log is read in one piece."""
    from loopline.resources.taking import event_source

    monkeypatch.setattr(event_source, "LOOK_SECONDS", -1)
    monkeypatch.setattr(page_log, "MANY_PIECES", 2)
    days = "generate_series('2020-01-01'::timestamptz, '2020-01-05', '1 day') d"
    run(f"CREATE TABLE orders AS SELECT d::date::text AS id, d AS at FROM {days}")
    for count in range(1, 6):
        found = make().arrivals("shop/orders")
        assert len(found) == count
    assert [arrival.arrived_at.day for arrival in found] == [1, 2, 3, 4, 5]
    assert taken(make()) == [f"2020-01-0{day}" for day in range(1, 6)]


def test_a_quiet_table_is_asked_seldom(make: Make, run: Run) -> None:
    """Once in ``look_seconds``, by one process."""
    run("CREATE TABLE orders AS SELECT 1 AS id, now() AS at")
    events = make(look_seconds=0.5)
    assert taken(events) == ["1"]
    run("INSERT INTO orders VALUES (2, now())")
    assert taken(events) == ["1"]
    time.sleep(0.6)  # longer than it does not look
    assert taken(events) == ["1", "2"]
