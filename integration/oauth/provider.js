// An identity provider that a test drives: a command a line, an answer a line, both JSON.
//
//   {"do": "start"} {"do": "stop"} {"do": "rotate"}   rotate: all keys are new
//   {"do": "token", "claims": {…}, "seconds": 60, "algorithm": "ES256"}
//
// Reads PROVIDER_PORT, PROVIDER_KEY and PROVIDER_CERTIFICATE (paths).
'use strict'

const readline = require('node:readline')
const { OAuth2Server } = require('oauth2-mock-server')

const port = Number(process.env.PROVIDER_PORT)
let server

async function anew() {
  server = new OAuth2Server(process.env.PROVIDER_KEY, process.env.PROVIDER_CERTIFICATE)
  for (const algorithm of ['RS256', 'ES256', 'EdDSA']) await server.issuer.keys.generate(algorithm)
}

const keyOf = algorithm => server.issuer.keys.toJSON().find(key => key.alg === algorithm).kid

const commands = {
  start: () => server.start(port, '127.0.0.1'),
  stop: () => server.stop(),
  async rotate() {
    if (server.listening) await server.stop()
    await anew()
    await server.start(port, '127.0.0.1')
  },
  token({ claims, seconds, algorithm }) {
    server.issuer.url = `https://localhost:${port}` // a stopped one does not know its own
    return server.issuer.buildToken({
      kid: keyOf(algorithm),
      expiresIn: seconds,
      scopesOrTransform: (_header, payload) => Object.assign(payload, claims)
    })
  }
}

async function main() {
  await anew()
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    try {
      const answer = await commands[command.do](command)
      console.log(JSON.stringify({ answer: answer ?? null }))
    } catch (error) {
      console.log(JSON.stringify({ error: error.stack }))
    }
  }
  process.exit() // the test has ended, and nobody would stop the server
}

main()
