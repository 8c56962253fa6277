// node-postgres: named statements, cursors, streams, COPY, cancel.
//
// Reads libpq's PG… variables; with PGSSLROOTCERT also over TLS. SUITE_SHORT=1 does fewer
// rounds, SUITE_ONLY=REGEX runs the first test, which sets up, and those whose name matches.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { setTimeout: sleep } = require('node:timers/promises')
const { Client, Pool } = require('pg')
const Cursor = require('pg-cursor')
const QueryStream = require('pg-query-stream')
const copy = require('pg-copy-streams')

const SHORT = Boolean(process.env.SUITE_SHORT)
const tests = []
const test = (name, body) => tests.push({ name, body })

async function connected(body, options = {}) {
  const client = new Client({ connectionTimeoutMillis: 20000, ssl: false, ...options })
  await client.connect()
  try {
    return await body(client)
  } finally {
    await client.end()
  }
}

const value = async (client, ...query) => Object.values((await client.query(...query)).rows[0])[0]
const rejects = (promise, code) => assert.rejects(promise, error => {
  assert.equal(error.code, code, error.message)
  return true
})
const eachOf = (n, body) => Promise.all(Array.from({ length: n }, (_, i) => body(i)))

test('a schema can be created', () => connected(async c => {
  await c.query(`set client_min_messages = warning;
    drop schema if exists node_suite cascade;
    create schema node_suite;
    create table node_suite.item (id int primary key, name text, doc jsonb)`)
}))

test('named statements give their values', () => connected(async c => {
  for (let i = 0; i < 30; i++) {
    assert.equal(await value(c, { name: 'next', text: 'select $1::int + 1', values: [i] }), i + 1)
    assert.equal(await value(c, { name: 'word', text: 'select $1::text', values: [`é${i}`] }), `é${i}`)
    assert.equal(await value(c, 'select $1::int * 2', [i]), i * 2)
  }
}))

test('the same name in different clients means different statements', () => eachOf(30, n => connected(async c => {
  for (let i = 0; i < 10; i++) {
    const query = { name: 'mine', text: `select $1::int + ${n * 1000} as v${n}`, values: [i] }
    assert.deepEqual((await c.query(query)).rows, [{ [`v${n}`]: i + n * 1000 }])
  }
})))

test('many clients each get their own values', () => eachOf(60, n => connected(async c => {
  for (let i = 0; i < (SHORT ? 10 : 40); i++) {
    const mine = `client ${n} round ${i}`
    const { rows } = await c.query({ name: 'own', text: 'select $1::text as a, $2::int as b', values: [mine, n] })
    assert.deepEqual(rows, [{ a: mine, b: n }])
    assert.equal(await value(c, `select '${mine}'`), mine)
  }
})))

test('queries queued on one client are answered in order', () => connected(async c => {
  const answers = await eachOf(300, i => value(c, 'select $1::int', [i]))
  assert.deepEqual(answers, Array.from({ length: 300 }, (_, i) => i))
}))

test('types come back as they went', () => connected(async c => {
  const { rows } = await c.query(
    `select $1::int as i, $2::int8 as big, $3::numeric as n, $4::bool as b, $5::text as t, $6::bytea as y,
            $7::timestamptz as at, $8::int[] as a`,
    [1, '9007199254740993', '1.50', true, null, Buffer.from([0, 255]), new Date(1e12), [1, null, 3]])
  assert.deepEqual(rows[0], {
    i: 1, big: '9007199254740993', n: '1.50', b: true, t: null, y: Buffer.from([0, 255]),
    at: new Date(1e12), a: [1, null, 3],
  })
}))

test('JSON goes in and out', () => connected(async c => {
  const doc = { a: [1, { b: 'é"\\\'' }], long: 'x'.repeat(100000), none: null }
  await c.query('truncate node_suite.item')
  await c.query('insert into node_suite.item values (1, $1, $2)', ['doc', doc])
  assert.deepEqual(await value(c, 'select doc from node_suite.item'), doc)
  assert.equal(await value(c, "select doc -> 'a' -> 1 ->> 'b' from node_suite.item"), 'é"\\\'')
}))

test('several statements in one message', () => connected(async c => {
  const results = await c.query('select 1 as a; select 2 as b, 3 as c; update node_suite.item set id = id')
  assert.deepEqual(results.map(r => r.rows), [[{ a: 1 }], [{ b: 2, c: 3 }], []])
  assert.equal(results[2].command, 'UPDATE')
}))

test('an error has its fields and leaves the client usable', () => connected(async c => {
  for (let i = 0; i < 5; i++) {
    await rejects(c.query('select 1 / $1::int', [0]), '22012')
    await rejects(c.query({ name: 'bad', text: 'select nothing' }), '42703')
    await assert.rejects(c.query('insert into node_suite.item select 7, $1 from generate_series(1, 2)', ['x']), {
      code: '23505', constraint: 'item_pkey', table: 'item', schema: 'node_suite', detail: 'Key (id)=(7) already exists.',
    })
    assert.equal(await value(c, 'select $1::int', [i]), i)
  }
}))

test('a transaction holds together and rolls back', () => connected(a => connected(async b => {
  await a.query('truncate node_suite.item')
  await a.query('begin')
  await a.query('insert into node_suite.item values ($1, $2)', [1, 'a'])
  assert.equal(await value(b, 'select count(*)::int from node_suite.item'), 0)
  await rejects(a.query('insert into node_suite.item values ($1, $2)', [1, 'twice']), '23505')
  await rejects(a.query('select 1'), '25P02')
  await a.query('rollback')
  assert.equal(await value(a, 'select count(*)::int from node_suite.item'), 0)
})))

test('a driver pool in front of the pool', async () => {
  const pool = new Pool({ max: 30 })
  try {
    const answers = await eachOf(500, i => value(pool, { name: `q${i % 5}`, text: `select $1::int + ${i % 5}`, values: [i] }))
    assert.deepEqual(answers, Array.from({ length: 500 }, (_, i) => i + i % 5))
  } finally {
    await pool.end()
  }
})

test('a cursor reads in parts', () => connected(async c => {
  await c.query('begin')
  const cursor = c.query(new Cursor('select i from generate_series(1, $1::int) i', [1000]))
  const sizes = []
  let sum = 0
  for (let rows; (rows = await cursor.read(300)).length > 0;) {
    sizes.push(rows.length)
    sum += rows.reduce((total, row) => total + row.i, 0)
  }
  assert.deepEqual([sizes, sum], [[300, 300, 300, 100], 500500])
  await c.query('commit')
}))

test('a cursor without a transaction, closed early', () => eachOf(25, n => connected(async c => {
  const cursor = c.query(new Cursor('select i + $1 as v from generate_series(1, 1000) i', [n]))
  assert.deepEqual((await cursor.read(2)).map(r => r.v), [n + 1, n + 2])
  await sleep(20)
  assert.deepEqual((await cursor.read(2)).map(r => r.v), [n + 3, n + 4])
  await cursor.close()
  assert.equal(await value(c, 'select $1::int', [n]), n)
})))

test('a stream of many rows', () => connected(async c => {
  const count = SHORT ? 20000 : 100000
  let next = 1
  for await (const row of c.query(new QueryStream('select i, md5(i::text) as m from generate_series(1, $1::int) i', [count],
    { batchSize: 500 }))) {
    assert.equal(row.i, next++)
  }
  assert.equal(next, count + 1)
}))

test('a stream that is destroyed early', () => connected(async c => {
  const stream = c.query(new QueryStream('select i from generate_series(1, 1000000) i'))
  for await (const row of stream) {
    if (row.i === 10) break
  }
  assert.equal(await value(c, 'select 5'), 5)
}))

test('COPY both ways', () => connected(async c => {
  const count = SHORT ? 10000 : 50000
  const lines = Array.from({ length: count }, (_, i) => `${i}\tname ${i}\t{"n": ${i}}\n`)
  await c.query('truncate node_suite.item')
  const into = c.query(copy.from('copy node_suite.item from stdin'))
  await pipeline(Readable.from(lines), into)
  assert.equal(into.rowCount, count)
  let text = ''
  for await (const chunk of c.query(copy.to('copy (select * from node_suite.item order by id) to stdout'))) text += chunk
  assert.equal(text, lines.join(''))
}))

test('COPY that fails on either side', () => connected(async c => {
  await c.query('truncate node_suite.item')
  await rejects(pipeline(Readable.from(['1\ta\t{}\n', 'bad\tb\t{}\n']), c.query(copy.from('copy node_suite.item from stdin'))), '22P02')
  async function * broken() {
    yield '1\ta\t{}\n'
    throw new Error('the client gives up')
  }
  await assert.rejects(pipeline(Readable.from(broken()), c.query(copy.from('copy node_suite.item from stdin'))), /the client gives up/)
  assert.equal(await value(c, 'select count(*)::int from node_suite.item'), 0)
}))

test('cancel stops the statement', () => connected(c => connected(async watcher => {
  for (let i = 0; i < 3; i++) {
    const sleeper = rejects(c.query(`select pg_sleep(30) -- node ${i}`), '57014')
    const running = "select count(*)::int from pg_stat_activity where wait_event = 'PgSleep' and query like '%-- node " + i + "'"
    for (let tries = 0; await value(watcher, running) !== 1; tries++) {
      assert.ok(tries < 200, 'the statement never ran')
      await sleep(20)
    }
    const canceller = new Client({ ssl: false })
    canceller.connection.on('error', () => {})
    canceller.connection.once('connect', () => canceller.connection.cancel(c.processID, c.secretKey))
    canceller.connection.connect(canceller.port, canceller.host)
    await sleeper
    assert.equal(await value(c, 'select $1::int', [i]), i)
  }
})))

test('settings of the connection hold', () => eachOf(30, n => connected(async c => {
  for (let i = 0; i < 5; i++) {
    assert.equal(await value(c, 'show application_name'), `node ${n}`)
  }
}, { application_name: `node ${n}` })))

test('notices arrive', () => connected(async c => {
  const heard = []
  c.on('notice', notice => heard.push(notice.message))
  await c.query("do $$ begin raise notice 'one'; raise notice 'two'; end $$")
  assert.deepEqual(heard, ['one', 'two'])
}))

test('a wrong password is refused', () => rejects(connected(() => {}, { password: 'wrong' }), '28P01'))

if (process.env.PGSSLROOTCERT) {
  const ssl = { ca: fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8'), servername: 'localhost' }
  test('TLS, with the certificate verified', () => eachOf(10, n => connected(async c => {
    assert.ok(c.connection.stream.encrypted && c.connection.stream.authorized)
    assert.equal(await value(c, 'select $1::int', [n]), n)
    assert.equal((await value(c, "select repeat('x', 3000000)")).length, 3000000)
  }, { ssl })))
  test('TLS with channel binding', () => connected(async c => {
    assert.equal(await value(c, 'select 1'), 1)
  }, { ssl, enableChannelBinding: true }))
}

async function main() {
  let passed = 0
  let failed = 0
  for (const { name, body } of tests) {
    if (name !== tests[0].name && !new RegExp(process.env.SUITE_ONLY || '').test(name)) continue
    let timer
    const tooLong = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('took longer than half a minute')), 30000)
    })
    try {
      await Promise.race([body(), tooLong])
      passed++
      console.log(`ok - ${name}`)
    } catch (error) {
      failed++
      console.log(`FAILED - ${name}: ${String(error.message || error.code || error).trim().replace(/\n/g, ' / ')}`)
    } finally {
      clearTimeout(timer)
    }
  }
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed > 0 || passed === 0 ? 1 : 0)
}

main()
