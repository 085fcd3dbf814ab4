// What npm reads from its configuration, and what it asks: for each case of stdin, a line of JSON.
// Arguments: the folder of npm.
const path = require('path')
const of = (name) => require(path.join(process.argv[2], name))
const Config = of('node_modules/@npmcli/config')
const { definitions, shorthands, flatten } = of('node_modules/@npmcli/config/lib/definitions')
const pacote = of('node_modules/pacote')

const asks = async ({ folder, env, name }) => {
  const config = new Config({ npmPath: process.argv[2], definitions, shorthands, flatten, env, cwd: folder, argv: ['node', 'npm'], warn: false })
  await config.load()
  config.validate()
  const options = { ...config.flat, cache: path.join(folder, 'cache'), fetchRetries: 0, retry: { retries: 0 } }
  await pacote.packument(name, options).catch(() => {})
  return { registry: config.get('registry') }
}

const main = async () => {
  for (const one of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
    console.log(JSON.stringify(await asks(one).catch((error) => ({ registry: `refused: ${error.code || error}` }))))
  }
}
main()
