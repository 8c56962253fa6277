"""asyncpg: every statement prepared, binary values, statement cache on.

Reads libpq's PG… variables. SUITE_SESSION_DATABASE is a database in session mode, for LISTEN.
SUITE_SHORT=1 does fewer rounds, SUITE_ONLY=REGEX some of the tests.
"""

import asyncio
import datetime
import decimal
import os
import time
import uuid

import asyncpg
from asyncpg import exceptions

from suite import equal, finish, test

SHORT = bool(os.environ.get("SUITE_SHORT"))
CLIENTS = 100


class connected:
    """`async with connected() as c`: a connection that is closed at the end."""

    def __init__(self, **options):
        self.options = options

    async def __aenter__(self):
        self.connection = await asyncpg.connect(timeout=30, **self.options)
        return self.connection

    async def __aexit__(self, kind, *_):
        if kind is None:
            await self.connection.close(timeout=10)
        else:
            self.connection.terminate()


async def raises(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} expected")


@test
async def a_schema_can_be_created():
    async with connected() as c:
        await c.execute("""
            set client_min_messages = warning;
            drop schema if exists asyncpg_suite cascade;
            create schema asyncpg_suite;
            create table asyncpg_suite.item (id int primary key, name text, price numeric, at timestamptz);
            create type asyncpg_suite.mood as enum ('sad', 'glad');
            create type asyncpg_suite.pair as (x int, y text);
        """)


@test
async def values_of_many_types():
    row = (7, 2**40, 1.5, decimal.Decimal("123456789.000123"), True, None, b"\0\xff", "é'\\",
           datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.timezone.utc), uuid.UUID(int=5), [1, None], '{"a": 1}')
    async with connected() as c:
        for _ in range(3):
            equal(tuple(await c.fetchrow(
                "select $1::int, $2::int8, $3::float8, $4::numeric, $5::bool, $6::text, $7::bytea, $8::text,"
                " $9::timestamptz, $10::uuid, $11::int[], $12::jsonb", *row)), row)


@test
async def types_that_must_be_looked_up():
    async with connected() as a, connected() as b:
        for c in (a, b, a):
            equal(await c.fetchval("select 'glad'::asyncpg_suite.mood"), "glad")
            equal(tuple(await c.fetchval("select $1::asyncpg_suite.pair", (1, "é"))), (1, "é"))
            equal([tuple(p) for p in await c.fetchval("select array[(1, 'a'), (2, 'b')]::asyncpg_suite.pair[]")],
                  [(1, "a"), (2, "b")])


@test
async def a_prepared_statement_is_used_again_and_again():
    async with connected() as c:
        statement = await c.prepare("select $1::int + 1 as next, $2::text as word")
        equal([(a.name, a.type.name) for a in statement.get_attributes()], [("next", "int4"), ("word", "text")])
        equal([p.name for p in statement.get_parameters()], ["int4", "text"])
        for i in range(50):
            equal(tuple(await statement.fetchrow(i, f"w{i}")), (i + 1, f"w{i}"))
            equal(await c.fetchval("select 'between'"), "between")
        equal(len(await statement.fetch(1, "w")), 1)
        equal(statement.get_statusmsg(), "SELECT 1")


@test
async def the_same_statement_name_in_different_clients():
    clients = [await asyncpg.connect() for _ in range(8)]
    try:
        statements = [await c.prepare(f"select $1::int + {n * 1000} as v{n}", name="same")
                      for n, c in enumerate(clients)]
        for i in range(20):
            for number, statement in enumerate(statements):
                equal(await statement.fetchval(i), i + number * 1000)
    finally:
        for c in clients:
            await c.close(timeout=10)


@test
async def a_small_statement_cache_and_none():
    for size in (0, 3):
        async with connected(statement_cache_size=size) as c:
            for _ in range(3):
                for i in range(15):
                    equal(await c.fetchval(f"select $1::int + {i}", 1), i + 1)


@test
async def a_changed_table_is_noticed_and_the_statement_retried():
    async with connected() as a, connected() as b:
        await a.execute("create table asyncpg_suite.shape (id int); insert into asyncpg_suite.shape values (1)")
        query = "select * from asyncpg_suite.shape where id = $1"
        for width in range(1, 5):
            for c in (a, b, a, b):
                row = await c.fetchrow(query, 1)
                equal((len(row), row["id"]), (width, 1))
            await a.execute(f"alter table asyncpg_suite.shape add column c{width} text default 'v'")
        await a.execute("alter table asyncpg_suite.shape drop column c1, add column c1 int default 5")
        for c in (a, b, a, b):
            equal((await c.fetchrow(query, 1))["c1"], 5)


@test
async def a_changed_table_within_a_transaction():
    query = "select * from asyncpg_suite.shape2"
    async with connected() as a, connected() as b:
        await a.execute("create table asyncpg_suite.shape2 (id int); insert into asyncpg_suite.shape2 values (1)")
        for c in (a, b):
            equal(len(await c.fetchrow(query)), 1)
        await a.execute("alter table asyncpg_suite.shape2 add column more text")
        for c in (a, b):
            try:
                async with c.transaction():
                    equal(len(await c.fetchrow(query)), 2)
            except exceptions.InvalidCachedStatementError:
                pass  # what PostgreSQL says; a pooler may know better
            async with c.transaction():
                equal(len(await c.fetchrow(query)), 2)


@test
async def a_dropped_and_created_table():
    async with connected() as a, connected() as b:
        for i in range(3):
            await a.execute(f"create table asyncpg_suite.fresh (v int); insert into asyncpg_suite.fresh values ({i})")
            for c in (a, b):
                equal(await c.fetchval("select v from asyncpg_suite.fresh where v >= $1", 0), i)
            await a.execute("drop table asyncpg_suite.fresh")
            for c in (a, b):
                await raises(exceptions.UndefinedTableError, c.fetchval("select v from asyncpg_suite.fresh where v >= $1", 0))


@test
async def cursors_fetch_in_parts():
    async with connected() as c, c.transaction():
        seen = [r["i"] async for r in c.cursor("select i from generate_series(1, $1::int) i", 1033, prefetch=50)]
        equal(seen, list(range(1, 1034)))
        cursor = await c.cursor("select i from generate_series(1, 100) i")
        equal([r["i"] for r in await cursor.fetch(7)], list(range(1, 8)))
        equal(await c.fetchval("select 'between'"), "between")
        equal(await cursor.forward(10), 10)
        equal((await cursor.fetchrow())["i"], 18)


@test
async def two_cursors_at_once_in_two_clients():
    async def work(number):
        async with connected() as c, c.transaction():
            left = await c.cursor("select i + $1 as v from generate_series(1, 100) i", number)
            right = await c.cursor("select i * $1 as v from generate_series(1, 100) i", number)
            for i in range(1, 31):
                equal((await left.fetchrow())["v"], i + number)
                equal((await right.fetchrow())["v"], i * number)
    await asyncio.gather(*(work(n) for n in range(2, 14)))


@test
async def copy_records_in_and_out():
    rows = [(i, f"n\t{i}", decimal.Decimal(i) / 8, datetime.datetime.fromtimestamp(i, datetime.timezone.utc))
            for i in range(2_000 if SHORT else 20_000)]
    async with connected() as c:
        await c.execute("truncate asyncpg_suite.item")
        equal(await c.copy_records_to_table("item", schema_name="asyncpg_suite", records=rows), f"COPY {len(rows)}")
        equal([tuple(r) for r in await c.fetch("select * from asyncpg_suite.item order by id")], rows)
        received = bytearray()

        async def sink(data):
            received.extend(data)

        await c.copy_from_query("select id from asyncpg_suite.item where id < $1 order by id", 1000, output=sink)
        equal(bytes(received), b"".join(b"%d\n" % i for i in range(1000)))


@test
async def a_copy_that_fails_on_either_side():
    async def source():
        yield b"900001\tx\t1\t2026-01-01\n"
        raise KeyError("the client gives up")

    async with connected() as c:
        await c.execute("truncate asyncpg_suite.item")
        await raises(KeyError, c.copy_to_table("item", schema_name="asyncpg_suite", source=source()))
        equal(await c.fetchval("select count(*) from asyncpg_suite.item"), 0)
        rows = [(i % 500, "x", None, None) for i in range(1000)]
        await raises(exceptions.UniqueViolationError,
                     c.copy_records_to_table("item", schema_name="asyncpg_suite", records=rows))
        equal(await c.fetchval("select count(*) from asyncpg_suite.item"), 0)


@test
async def executemany_is_all_or_nothing():
    async with connected() as c:
        await c.execute("truncate asyncpg_suite.item")
        insert = "insert into asyncpg_suite.item (id, name) values ($1, $2)"
        await c.executemany(insert, [(i, str(i)) for i in range(2000)])
        equal(await c.fetchval("select count(*) from asyncpg_suite.item where name = id::text"), 2000)
        await raises(exceptions.UniqueViolationError,
                     c.executemany(insert, [(i, str(i)) for i in range(5000, 1900, -1)]))
        equal(await c.fetchval("select count(*) from asyncpg_suite.item"), 2000)


@test
async def a_timeout_cancels_the_statement():
    async with connected() as c, connected() as other:
        bystander = asyncio.create_task(other.fetchval("select 'untouched' from pg_sleep(1.2)"))
        for _ in range(3):
            started = time.monotonic()
            await raises(TimeoutError, c.fetch("select pg_sleep(30)", timeout=0.3))
            assert time.monotonic() - started < 5
            equal(await c.fetchval("select $1::int", 5), 5)
        equal(await bystander, "untouched")


@test
async def a_cancelled_task_cancels_the_statement():
    async with connected() as c, connected() as watcher:
        for i in range(5):
            task = asyncio.create_task(c.fetchval(f"select 1 from pg_sleep(30) -- task {i}"))
            await asyncio.sleep(0.1)
            task.cancel()
            await raises(asyncio.CancelledError, task)
            equal(await c.fetchval("select $1::int", i), i)
        equal(await watcher.fetchval(
            "select count(*) from pg_stat_activity where state = 'active' and query like '%-- task _'"), 0)


@test
async def a_timeout_in_a_transaction_leaves_it_failed():
    async with connected() as c:
        transaction = c.transaction()
        await transaction.start()
        await raises(TimeoutError, c.fetch("select pg_sleep(30)", timeout=0.2))
        await raises(exceptions.InFailedSQLTransactionError, c.fetch("select 1"))
        await transaction.rollback()
        equal(await c.fetchval("select 2"), 2)


@test
async def errors_leave_the_connection_usable():
    async with connected() as c:
        for _ in range(5):
            await raises(exceptions.DivisionByZeroError, c.fetchval("select 1 / $1::int", 0))
            await raises(exceptions.PostgresSyntaxError, c.fetchval("selec"))
            await raises(exceptions.UndefinedColumnError, c.fetchval("select nothing where $1::int = 1", 1))
            await raises(exceptions.DataError, c.fetchval("select $1::int", "no number"))
            equal(await c.fetchval("select 1 / $1::int", 1), 1)


@test
async def savepoints():
    async with connected() as c:
        await c.execute("truncate asyncpg_suite.item")
        async with c.transaction():
            await c.execute("insert into asyncpg_suite.item values (1)")
            try:
                async with c.transaction():
                    await c.execute("insert into asyncpg_suite.item values (2)")
                    await c.execute("insert into asyncpg_suite.item values (1)")
            except exceptions.UniqueViolationError:
                pass
            await c.execute("insert into asyncpg_suite.item values (3)")
        equal([r["id"] for r in await c.fetch("select id from asyncpg_suite.item order by id")], [1, 3])


@test
async def a_hundred_clients_each_get_their_own_values():
    rounds = 10 if SHORT else 40

    async def work(number):
        async with connected() as c:
            for i in range(rounds):
                mine = f"client {number} round {i}"
                equal(tuple(await c.fetchrow("select $1::text, $2::int", mine, number)), (mine, number))
                # texts that some clients share and others do not
                equal(await c.fetchval(f"select $1::int + {number % 7}", i), i + number % 7)
                equal(len(await c.fetch("select i from generate_series(1, $1::int) i", number)), number)
                if i % 5 == 0:
                    async with c.transaction():
                        await c.execute("select set_config('my.value', $1, true)", mine)
                        await asyncio.sleep(0)
                        equal(await c.fetchval("select current_setting('my.value')"), mine)

    await asyncio.gather(*(work(n) for n in range(CLIENTS)))


@test
async def a_driver_pool_in_front_of_the_pool():
    async with asyncpg.create_pool(min_size=5, max_size=30) as pool:
        async def work(number):
            async with pool.acquire() as c:  # its release sends RESET ALL and more
                equal(await c.fetchval("select $1::int", number), number)
                await c.execute("set timezone = 'Asia/Tokyo'" if number % 2 else "select 1")
                zone = await c.fetchval("show timezone")
                equal(zone == "Asia/Tokyo", bool(number % 2))
        await asyncio.gather(*(work(n) for n in range(300)))


@test
async def server_settings_of_the_connection_hold():
    async def work(number):
        zone = ["Asia/Tokyo", "America/Lima", "UTC"][number % 3]
        async with connected(server_settings={"application_name": f"app {number}", "timezone": zone}) as c:
            for _ in range(5):
                equal(tuple(await c.fetchrow("select current_setting('application_name'), current_setting('TimeZone')")),
                      (f"app {number}", zone))
            equal(c.get_settings().TimeZone, zone)
    await asyncio.gather(*(work(n) for n in range(40)))


@test
async def listen_and_notify_in_session_mode():
    async with connected(database=os.environ.get("SUITE_SESSION_DATABASE")) as c, connected() as sender:
        heard = asyncio.Queue()
        await c.add_listener("asyncpg_news", lambda _c, _pid, channel, payload: heard.put_nowait((channel, payload)))
        for i in range(5):
            await sender.execute("select pg_notify('asyncpg_news', $1)", f"n{i}")
            equal(await asyncio.wait_for(heard.get(), 5), ("asyncpg_news", f"n{i}"))
        equal(await c.fetchval("select 1"), 1)


@test
async def log_messages_arrive():
    async with connected() as c:
        heard = []
        c.add_log_listener(lambda _c, message: heard.append((message.severity, message.message)))
        await c.execute("do $$ begin raise notice 'one'; raise warning 'two'; end $$")
        for _ in range(100):
            if len(heard) == 2:
                break
            await asyncio.sleep(0.02)
        equal(heard, [("NOTICE", "one"), ("WARNING", "two")])


@test
async def big_values():
    async with connected() as c:
        blob = os.urandom(1 << 20) * (2 if SHORT else 16)
        equal(await c.fetchval("select $1::bytea", blob), blob)
        rows = await c.fetch("select i, repeat(md5(i::text), 20) as t from generate_series(1, 20000) i")
        equal(sum(len(r["t"]) for r in rows), 20000 * 640)


finish()
