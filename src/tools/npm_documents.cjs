'use strict'
// Loaded into npm by `--require`: hands it the registry's documents that factory asks for beside it, many at once. npm
// resolves as ever, and asks itself for what is not among them. An npm that is made in another way does all as ever.

const fs = require('node:fs')
const path = require('node:path')

// A line a document, `<name> <JSON>`, appended as they come; an empty line ends them.
const file = fs.openSync(path.join(__dirname, 'documents'), 'r')
const known = new Map()
let ended = false
let rest = Buffer.alloc(0)
const chunk = Buffer.alloc(1 << 20)

function read () {
  // All arguments: npm puts a function of its own in the place of this one, which takes none for granted.
  for (let length; !ended && (length = fs.readSync(file, chunk, 0, chunk.length, null)) > 0;) {
    let bytes = Buffer.concat([rest, chunk.subarray(0, length)])
    for (let end; (end = bytes.indexOf(10)) !== -1; bytes = bytes.subarray(end + 1)) {
      const blank = bytes.indexOf(32)
      ended = ended || end === 0
      if (end > 0) known.set(bytes.toString('latin1', 0, blank), Buffer.from(bytes.subarray(blank + 1, end)))
    }
    rest = Buffer.from(bytes)
  }
}

async function come (name) {
  for (read(); !known.has(name) && !ended; read()) await new Promise(resolve => setTimeout(resolve, 5))
  const document = known.get(name)
  known.delete(name)
  try {
    return document && JSON.parse(document)
  } catch {} // cut short
}

function inform (modules) {
  const main = require.resolve(path.join(modules, '@npmcli/arborist'))
  const Arborist = require(main)
  const pacote = require(path.join(modules, 'pacote'))
  const asked = new Map()

  // Keys are `full:https://<registry>/@scope%2fname`.
  const documents = options => ({
    has (key) {
      if (!asked.has(key)) {
        const name = decodeURIComponent(key.slice(key.lastIndexOf('/') + 1))
        const itself = () => pacote.packument(name, { ...options, packumentCache: null, fullMetadata: true })
        asked.set(key, come(name).then(document => document ?? itself()))
      }
      return true
    },
    get: key => asked.get(key),
    set: () => {},
    delete: key => asked.delete(key)
  })

  class Informed extends Arborist {
    constructor (options) {
      super({ ...options, packumentCache: documents(options) })
    }
  }
  require.cache[main].exports = Object.assign(Informed, Arborist)
}

// npm tries many texts as addresses: for each that is none a stack trace took a fifth of all its time. Others stay: npm
// finds out by one whether it is asked for https.
class QuietURL extends URL {
  constructor (...texts) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    try {
      super(...texts)
    } finally {
      Error.stackTraceLimit = limit
    }
  }
}

try {
  inform(path.join(path.dirname(fs.realpathSync(process.argv[1])), '../node_modules'))
  globalThis.URL = QuietURL
} catch {}
