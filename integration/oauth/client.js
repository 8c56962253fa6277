// node-postgres with the token of SUITE_TOKEN as its password; prints the server's user.
'use strict'

const fs = require('node:fs')
const { Client } = require('pg')

async function main() {
  const ca = fs.readFileSync(process.env.PGSSLROOTCERT)
  const client = new Client({ password: process.env.SUITE_TOKEN, ssl: { ca } })
  await client.connect()
  const { rows } = await client.query('select current_user')
  console.log(rows[0].current_user)
  await client.end()
}

main().catch(error => {
  console.log(error.code, error.message)
  process.exitCode = 1
})
