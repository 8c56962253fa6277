"""psycopg 3: what a pooler must keep invisible to it.

Reads libpq's PG… variables. SUITE_SHORT=1 does fewer rounds, SUITE_ONLY=REGEX some of the tests.
"""

import datetime
import decimal
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

from suite import equal, finish, test

SHORT = bool(os.environ.get("SUITE_SHORT"))
CLIENTS = 50


def connect(**options):
    options.setdefault("autocommit", True)
    options.setdefault("prepare_threshold", 0)
    return psycopg.connect("", **options)


def value(connection, query, *parameters, **options):
    return connection.execute(query, parameters or None, **options).fetchone()[0]


def raises(kind, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} expected")


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} seconds: {what}")
        time.sleep(0.02)


def crowd(work, clients=CLIENTS):
    """Runs work(number) on as many threads at once, and raises what one of them raised."""
    with ThreadPoolExecutor(clients) as threads:
        return list(threads.map(work, range(clients)))


@test
def a_schema_can_be_created():
    with connect() as c:
        c.execute("set client_min_messages = warning")
        c.execute("drop schema if exists psycopg_suite cascade")
        c.execute("create schema psycopg_suite")
        c.execute("create table psycopg_suite.item (id int primary key, owner int, name text not null)")


@test
def prepared_statements_give_their_values():
    with connect() as c:
        for i in range(30):
            equal(c.execute("select %s::int + 1, %s::text", (i, f"é{i}")).fetchone(), (i + 1, f"é{i}"))
            equal(value(c, "select %s::int * 2", i), i * 2)


@test
def values_of_many_types_text_and_binary():
    row = (
        7, 2**40, -1.5, decimal.Decimal("12345678901234567890.123"), True, None, b"\0\xff", "x'\"\\",
        datetime.date(2026, 2, 28), datetime.timedelta(days=3, seconds=4), [1, None, 3], {"a": [1, "é"]},
    )
    query = (
        "select %s::int, %s::int8, %s::float8, %s::numeric, %s::bool, %s::text, %s::bytea, %s::text,"
        " %s::date, %s::interval, %s::int[], %s::jsonb"
    )
    with connect() as c:
        for binary in (False, True) * 3:
            equal(c.execute(query, (*row[:-1], Jsonb(row[-1])), binary=binary).fetchone(), row)


@test
def one_statement_text_with_different_parameter_types():
    values = [(1, "smallint"), (100_000, "integer"), (2**40, "bigint"), ("x", "text"), (1.5, "double precision"),
              (decimal.Decimal("1.5"), "numeric"), (datetime.date(2026, 1, 1), "date"), (True, "boolean")]
    query = "select %(v)s, pg_typeof(coalesce(%(v)s, null))::text"
    with ExitStack() as stack:
        clients = [stack.enter_context(connect()) for _ in values]
        for _ in range(5):
            for c, (v, kind) in zip(clients, values):
                equal(c.execute(query, {"v": v}).fetchone(), (v, kind))
        for v, kind in values:  # and all of them in one client
            equal(c.execute(query, {"v": v}).fetchone(), (v, kind))


@test
def clients_that_use_the_same_statement_name_for_different_texts():
    with ExitStack() as stack:
        clients = [stack.enter_context(connect()) for _ in range(8)]
        for round_ in range(10):
            for number, c in enumerate(clients):  # each calls its first statement _pg3_0
                equal(c.execute(f"select %s::int + {number * 1000} as n{number}", (round_,)).fetchone()[0],
                      round_ + number * 1000)
                equal(c.execute("select 1").pgresult.fname(0), b"?column?")


@test
def more_statements_than_a_client_keeps():
    with connect() as c:
        c.prepared_max = 5
        for _ in range(3):
            for i in range(40):
                equal(value(c, f"select %s::int + {i}", 1), i + 1)


@test
def many_statements_in_one_client():
    with connect() as c:
        c.prepared_max = 1000
        for _ in range(2):
            for i in range(100 if SHORT else 600):
                equal(value(c, f"select %s::int + {i}", 1), i + 1)


@test
def a_prepared_statement_that_fails_to_parse_can_be_tried_again():
    with connect() as c:
        for _ in range(3):
            raises(errors.UndefinedTable, c.execute, "select %s::int from psycopg_suite.later", (1,))
        c.execute("create table psycopg_suite.later ()")
        equal(c.execute("select %s::int from psycopg_suite.later", (1,)).fetchall(), [])


@test
def deallocate_all_and_discard_all_harm_no_one():
    with connect() as a, connect() as b:
        for statement in ("deallocate all", "discard all") * 3:
            for c in (a, b):
                equal(value(c, "select %s::int + 10", 1), 11)
            a.execute(statement)
            for c in (a, b):
                equal(value(c, "select %s::int + 10", 2), 12)
                equal(value(c, "select %s::int + 20", 3), 23)


@test
def a_changed_table_changes_a_prepared_statement():
    with connect() as a, connect() as b:
        a.execute("create table psycopg_suite.shape (x int)")
        a.execute("insert into psycopg_suite.shape values (1)")
        query = "select * from psycopg_suite.shape where x = %s"
        for width in range(1, 4):
            for c in (a, b):
                try:
                    row = c.execute(query, (1,)).fetchone()
                except errors.FeatureNotSupported:  # "cached plan must not change result type"
                    c.execute("deallocate all")  # what PostgreSQL itself asks of a client
                    row = c.execute(query, (1,)).fetchone()
                equal(len(row), width)
            a.execute(f"alter table psycopg_suite.shape add column c{width} int")


@test
def a_pipeline_returns_every_result_in_order():
    with connect() as c, c.pipeline():
        cursors = [c.execute("select %s::int", (i,)) for i in range(200)]
        equal([cursor.fetchone()[0] for cursor in cursors], list(range(200)))


def fails_in(connection, pipeline, kind, *statements):
    """Queues the statements, of which one fails with `kind`, and returns the first one's cursor."""
    cursors = []

    def queue():
        for statement in statements:
            cursors.append(connection.execute(*statement))
        pipeline.sync()

    raises(kind, queue)  # as soon as psycopg has read it, maybe before the last is queued
    try:
        pipeline.sync()
    except psycopg.errors.PipelineAborted:
        pass  # the rest
    return cursors[0]


@test
def a_pipeline_with_an_error_in_the_middle():
    with connect() as c:
        c.execute("delete from psycopg_suite.item")
        with c.pipeline() as pipeline:
            for _ in range(3):
                before = fails_in(c, pipeline, errors.DivisionByZero, ("select %s::int", (1,)), ("select 1 / %s::int", (0,)),
                                  ("insert into psycopg_suite.item values (%s, 1, 'skipped')", (1,)))
                equal(before.fetchone(), (1,))
                equal(c.execute("select %s::int", (2,)).fetchone(), (2,))
        equal(value(c, "select count(*) from psycopg_suite.item"), 0)
        equal(c.info.transaction_status.name, "IDLE")


@test
def a_pipeline_with_a_statement_that_does_not_parse():
    with connect() as c, c.pipeline() as pipeline:
        for i in range(5):
            good = fails_in(c, pipeline, errors.UndefinedColumn, ("select %s::int + 5", (i,)),
                            (f"select no_such_column_{i}",), ("select %s::int + 7", (i,)))
            equal(good.fetchone(), (i + 5,))
            equal(c.execute("select %s::int + 6", (i,)).fetchone(), (i + 6,))
            equal(c.execute("select %s::int + 7", (i,)).fetchone(), (i + 7,))


@test
def a_transaction_inside_a_pipeline():
    with connect() as c:
        c.execute("delete from psycopg_suite.item")
        with c.pipeline():
            with c.transaction():
                for i in range(20):
                    c.execute("insert into psycopg_suite.item values (%s, 1, 'p')", (i,))

            def broken():
                with c.transaction():
                    c.execute("delete from psycopg_suite.item")
                    c.execute("select 1 / 0").fetchone()

            raises(errors.DivisionByZero, broken)
            equal(value(c, "select count(*) from psycopg_suite.item"), 20)


@test
def executemany_with_returning():
    with connect() as c:
        c.execute("delete from psycopg_suite.item")
        cursor = c.cursor()
        cursor.executemany("insert into psycopg_suite.item values (%s, 0, %s) returning id * 2",
                           [(i, f"n{i}") for i in range(300)], returning=True)
        equal([result.fetchone()[0] for result in cursor.results()], [i * 2 for i in range(300)])


@test
def copy_both_ways_as_text():
    rows = [(i, i % 7, f"tab\t{i}\n\\é") for i in range(2_000 if SHORT else 20_000)]
    with connect() as c:
        c.execute("truncate psycopg_suite.item")
        with c.cursor().copy("copy psycopg_suite.item from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        with c.cursor().copy("copy (select * from psycopg_suite.item order by id) to stdout") as copy:
            copy.set_types(["int4", "int4", "text"])
            equal(list(copy.rows()), rows)


@test
def copy_both_ways_as_binary():
    rows = [(i, None, "x" * (i % 300)) for i in range(5_000)]
    with connect() as c:
        c.execute("truncate psycopg_suite.item")
        with c.cursor().copy("copy psycopg_suite.item from stdin (format binary)") as copy:
            copy.set_types(["int4", "int4", "text"])
            for row in rows:
                copy.write_row(row)
        with c.cursor().copy("copy (select * from psycopg_suite.item order by id) to stdout (format binary)") as copy:
            copy.set_types(["int4", "int4", "text"])
            equal(list(copy.rows()), rows)


@test
def a_copy_that_the_client_gives_up():
    with connect() as c:
        c.execute("truncate psycopg_suite.item")

        def given_up():
            with c.cursor().copy("copy psycopg_suite.item from stdin") as copy:
                copy.write_row((1, 1, "x"))
                raise KeyError("changed my mind")

        raises(KeyError, given_up)
        equal(value(c, "select count(*) from psycopg_suite.item"), 0)


@test
def a_copy_that_the_server_refuses():
    with connect() as c:
        c.execute("truncate psycopg_suite.item")

        def refused():
            with c.cursor().copy("copy psycopg_suite.item from stdin") as copy:
                for i in range(20_000):
                    copy.write_row((i if i != 5_000 else "bad", 1, "x"))

        raises(errors.InvalidTextRepresentation, refused)
        equal(value(c, "select count(*) from psycopg_suite.item"), 0)


@test
def a_copy_out_that_the_client_leaves_early():
    with connect() as c:

        def enough():
            with c.cursor().copy("copy (select generate_series(1, 1000000)) to stdout") as copy:
                equal(bytes(copy.read())[:2], b"1\n")
                raise KeyError("enough")

        raises(KeyError, enough)
        equal(value(c, "select 'usable'"), "usable")


@test
def cancel_stops_only_the_statement_it_was_sent_for():
    with connect() as victim, connect() as bystander, connect() as watcher:
        for cancel in (victim.cancel_safe, victim.cancel):
            with ThreadPoolExecutor(2) as threads:
                other = threads.submit(value, bystander, "select 'untouched' from pg_sleep(1.5) -- bystander")
                error = threads.submit(raises, errors.QueryCanceled, victim.execute, "select pg_sleep(40) -- victim")
                wait_until(lambda: value(watcher, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
                                         " and (query like '%-- victim' or query like '%-- bystander')") == 2,
                           "both statements run")
                started = time.monotonic()
                cancel()
                error.result()
                assert time.monotonic() - started < 5, "the cancel came late"
                equal(other.result(), "untouched")
            equal(value(victim, "select %s::int", 5), 5)


@test
def a_cancel_that_comes_too_late_hits_no_one():
    with connect() as late, ThreadPoolExecutor(8) as threads:
        stop = threading.Event()

        def busy(_):
            with connect() as c:
                rounds = 0
                while not stop.is_set():
                    equal(value(c, "select 1 from pg_sleep(0.002)"), 1)
                    rounds += 1
                return rounds

        others = [threads.submit(busy, i) for i in range(6)]
        try:
            for _ in range(20 if SHORT else 60):
                equal(value(late, "select 2"), 2)
                late.cancel_safe()
        finally:
            stop.set()
        assert all(other.result() > 0 for other in others)


@test
def a_cancelled_transaction_can_be_rolled_back():
    with connect(autocommit=False) as c:
        c.execute("create table psycopg_suite.undone ()")
        timer = threading.Timer(0.3, c.cancel_safe)
        timer.start()
        raises(errors.QueryCanceled, c.execute, "select pg_sleep(30)")
        timer.join()
        raises(errors.InFailedSqlTransaction, c.execute, "select 1")
        c.rollback()
        equal(value(c, "select to_regclass('psycopg_suite.undone')"), None)


@test
def server_side_cursors_in_a_transaction():
    with connect(autocommit=False) as c:
        with c.cursor(name="numbers") as cursor, c.cursor(name="others", scrollable=True) as other:
            cursor.itersize = 100
            cursor.execute("select i from generate_series(1, 1050) i")
            other.execute("select i * 2 from generate_series(1, %s) i", (500,))
            total = 0
            for (i,) in cursor:
                total += i
                if i % 100 == 0:
                    equal(other.fetchone(), (i // 100 * 2,))
            equal(total, 1050 * 1051 // 2)
            other.scroll(0, mode="absolute")
            equal(other.fetchmany(3), [(2,), (4,), (6,)])


@test
def a_cursor_with_hold_outlives_its_transaction_in_the_same_message():
    with connect() as c:
        cursor = c.cursor()
        cursor.execute("begin; declare h cursor with hold for select 1 union select 2;"
                       " commit; fetch all from h; close h", prepare=False)
        while cursor.description is None:
            assert cursor.nextset()
        equal(sorted(cursor.fetchall()), [(1,), (2,)])


@test
def transactions_commit_and_roll_back():
    with connect(autocommit=False) as c, connect() as other:
        c.execute("truncate psycopg_suite.item")
        c.commit()
        c.execute("insert into psycopg_suite.item values (1, 1, 'a')")
        equal(value(other, "select count(*) from psycopg_suite.item"), 0)
        c.rollback()
        c.execute("insert into psycopg_suite.item values (2, 1, 'b')")
        c.commit()
        equal(other.execute("select id from psycopg_suite.item").fetchall(), [(2,)])
        c.autocommit = True
        c.execute("insert into psycopg_suite.item values (3, 1, 'c')")
        equal(value(other, "select count(*) from psycopg_suite.item"), 2)


@test
def nested_transactions_are_savepoints():
    with connect() as c:
        c.execute("truncate psycopg_suite.item")
        with c.transaction():
            c.execute("insert into psycopg_suite.item values (1, 1, 'outer')")

            def inner():
                with c.transaction():
                    c.execute("insert into psycopg_suite.item values (2, 1, 'inner')")
                    c.execute("insert into psycopg_suite.item values (1, 1, 'twice')")

            error = raises(errors.UniqueViolation, inner)
            equal((error.sqlstate, error.diag.constraint_name, error.diag.table_name), ("23505", "item_pkey", "item"))
        equal(c.execute("select name from psycopg_suite.item").fetchall(), [("outer",)])


@test
def isolation_and_read_only_belong_to_the_transaction():
    with connect(autocommit=False) as a, connect(autocommit=False) as b:
        a.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        a.read_only = True
        for _ in range(5):
            equal(a.execute("select current_setting('transaction_isolation'), current_setting('transaction_read_only')")
                  .fetchone(), ("serializable", "on"))
            a.rollback()
            equal(b.execute("select current_setting('transaction_isolation'), current_setting('transaction_read_only')")
                  .fetchone(), ("read committed", "off"))
            b.rollback()


@test
def many_clients_each_get_their_own_values():
    rounds = 20 if SHORT else 60

    def work(number):
        with connect() as c:
            for i in range(rounds):
                mine = f"client {number} round {i}"
                equal(c.execute("select %s::text, %s::int", (mine, number)).fetchone(), (mine, number))
                with c.transaction():
                    equal(value(c, "select set_config('my.value', %s, true)", mine), mine)
                    equal(value(c, f"select %s || '{number}'", mine), mine + str(number))
                    equal(value(c, "select current_setting('my.value')"), mine)

    crowd(work)


@test
def many_clients_write_only_their_own_rows():
    with connect() as c:
        c.execute("truncate psycopg_suite.item")

    def work(number):
        with connect(autocommit=False) as c:
            for i in range(20):
                c.execute("insert into psycopg_suite.item values (%s, %s, 'x')", (number * 100 + i, number))
                if i % 2:
                    c.commit()
                else:
                    c.rollback()
            equal(value(c, "select count(*) from psycopg_suite.item where owner = %s", number), 10)
            c.rollback()

    crowd(work)
    with connect() as c:
        equal(value(c, "select count(*) from psycopg_suite.item"), 10 * CLIENTS)
        equal(value(c, "select count(*) from psycopg_suite.item where id / 100 <> owner"), 0)


@test
def settings_follow_the_client_across_transactions():
    zones = ["Asia/Tokyo", "Europe/Paris", "America/Lima", "UTC"]
    encodings = ["UTF8", "LATIN1", "WIN1252"]

    def work(number):
        zone, encoding = zones[number % 4], encodings[number % 3]
        with connect(application_name=f"client {number}") as c:
            c.execute(f"set timezone = '{zone}'")
            c.execute(f"set client_encoding = '{encoding}'")
            for i in range(10):
                equal(c.execute("select current_setting('TimeZone'), current_setting('client_encoding'),"
                                " current_setting('application_name')").fetchone(), (zone, encoding, f"client {number}"))
                equal(c.info.parameter_status("TimeZone"), zone)
                equal(c.info.parameter_status("client_encoding"), encoding)
                equal(value(c, "select chr(233) || %s::text", "è"), "éè")
            c.execute(f"set application_name = 'renamed {number}'")
            for i in range(5):
                with c.transaction():
                    equal(value(c, "show application_name"), f"renamed {number}")
            c.execute("reset timezone")
            with c.transaction():
                c.execute("set local timezone = 'Asia/Seoul'")
                equal(value(c, "show timezone"), "Asia/Seoul")
            assert value(c, "show timezone") != "Asia/Seoul"

    crowd(work)


@test
def a_setting_that_was_rolled_back_is_not_kept():
    with connect(autocommit=False) as c:
        c.execute("set timezone = 'Asia/Tokyo'")
        c.commit()
        c.execute("set timezone = 'Europe/Paris'")
        equal(c.info.parameter_status("TimeZone"), "Europe/Paris")
        c.rollback()
        for _ in range(3):
            equal(value(c, "show timezone"), "Asia/Tokyo")
            equal(c.info.parameter_status("TimeZone"), "Asia/Tokyo")
            c.commit()


@test
def options_of_the_start_hold():
    with connect(options="-c timezone=Asia/Tokyo -c datestyle=German", application_name="näme") as c:
        for _ in range(3):
            equal(c.execute("select current_setting('TimeZone'), current_setting('application_name'),"
                            " date '2026-02-01'::text").fetchone()[0::2], ("Asia/Tokyo", "01.02.2026"))


@test
def what_one_client_set_no_other_client_sees():
    for leave in ("set search_path = pg_catalog", "set role reader", "set statement_timeout = '7h'",
                  "select set_config('my.value', 'leaked', false)", "create temporary table leaked ()",
                  "select pg_advisory_lock(4711)", "prepare leaked as select 1", "listen leaked"):
        try:
            with connect() as c:
                c.execute(leave)
        except psycopg.Error as error:  # a pooler may refuse what it cannot keep
            equal((leave, error.sqlstate), (leave, "0A000"))

    def work(number):
        with connect() as c:
            equal(c.execute("select current_user, current_setting('search_path'), current_setting('statement_timeout'),"
                            " coalesce(current_setting('my.value', true), ''), to_regclass('leaked')").fetchone(),
                  (os.environ["PGUSER"], '"$user", public', "0", "", None))
            equal(c.execute("select 1 from pg_prepared_statements where name = 'leaked'").fetchall(), [])
            equal(c.execute("select * from pg_listening_channels()").fetchall(), [])

    crowd(work)
    with connect() as c:
        wait_until(lambda: value(c, "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711") == 0,
                   "the advisory lock is gone")


@test
def a_temporary_table_within_a_transaction():
    def work(number):
        with connect() as c, c.transaction():
            c.execute("create temporary table mine (n int) on commit drop")
            c.execute("insert into mine values (%s)", (number,))
            equal(c.execute("select n from mine").fetchall(), [(number,)])

    crowd(work, 15)


@test
def a_client_that_vanishes_in_a_transaction_leaves_nothing():
    with connect() as watcher:
        watcher.execute("truncate psycopg_suite.item")
        for i in range(30):  # more often than a pool has servers
            c = connect(autocommit=False)
            c.execute("insert into psycopg_suite.item values (1, %s, 'never')", (i,))
            c.pgconn.finish()
        with connect() as c:
            c.execute("insert into psycopg_suite.item values (1, 0, 'mine')")
        equal(watcher.execute("select name from psycopg_suite.item").fetchall(), [("mine",)])


@test
def clients_that_vanish_in_a_statement_cost_no_server():
    for _ in range(40):
        c = connect()
        c.pgconn.send_query(b"select pg_sleep(0.2), repeat('x', 100000)")
        c.pgconn.finish()
    for _ in range(10):
        c = connect()
        c.pgconn.send_query(b"select repeat('x', 1000) from generate_series(1, 100000)")
        c.pgconn.consume_input()
        c.pgconn.finish()
    for _ in range(10):
        c = connect()
        c.pgconn.exec_(b"copy psycopg_suite.item from stdin")
        c.pgconn.put_copy_data(b"99\t9\tnev")
        c.pgconn.finish()

    def work(number):
        with connect() as c:
            for i in range(5):
                equal(value(c, "select %s::int", number + i), number + i)

    crowd(work)
    with connect() as c:
        equal(value(c, "select count(*) from psycopg_suite.item where id = 99"), 0)
        wait_until(lambda: value(c, "select count(*) from pg_stat_activity where state = 'active' and query like"
                                 " any ('{copy psycopg_suite.item from stdin,select pg_sleep(0.2)%}')") == 0,
                   "the servers of the vanished clients are free")


@test
def notices_reach_the_client_that_caused_them():
    def work(number):
        heard = []
        with connect() as c:
            c.add_notice_handler(lambda diag: heard.append(diag.message_primary))
            for i in range(5):
                c.execute(f"do $$ begin raise notice 'to % %', {number}, {i}; end $$")
        equal(heard, [f"to {number} {i}" for i in range(5)])

    crowd(work, 20)


@test
def big_parameters_and_big_values():
    blob = os.urandom(1 << 20) * (2 if SHORT else 16)
    with connect() as c:
        for binary in (True, False):
            equal(value(c, "select %b::bytea", blob, binary=binary), blob)
        equal(value(c, "select length(%s)", "é" * 4_000_000), 4_000_000)


@test
def a_row_that_waits_for_another_clients_commit():
    with connect(autocommit=False) as a, connect() as b, ThreadPoolExecutor(1) as threads:
        a.execute("insert into psycopg_suite.item values (5000, 1, 'a') on conflict (id) do update set name = 'a'")
        later = threads.submit(b.execute, "insert into psycopg_suite.item values (5000, 1, 'b')"
                                          " on conflict (id) do update set name = 'b'")
        time.sleep(0.2)
        assert not later.done(), "the lock was not waited for"
        a.commit()
        later.result()
        equal(value(b, "select name from psycopg_suite.item where id = 5000"), "b")


finish()
