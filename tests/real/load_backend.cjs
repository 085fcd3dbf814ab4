// Loads an exported backend plugin as RHDH would, and prints what it found as one line of JSON.
//
//   node tests/real/load_backend.cjs PACKAGE PEERS [REQUEST]
//
// PACKAGE  the unpacked package: the folder that holds its package.json
// PEERS    a node_modules folder that holds its peer dependencies
// REQUEST  a path to ask the plugin's router for, such as /greeting?name=Ada
//
// Exit code 1 and a message on stderr when the default export is no backend feature.
'use strict';

const http = require('node:http');
const Module = require('node:module');
const path = require('node:path');

async function main([packageDir, peers, request]) {
  if (!packageDir || !peers) {
    throw new Error('usage: load_backend.cjs PACKAGE PEERS [REQUEST]');
  }
  process.env.NODE_PATH = path.resolve(peers);
  Module._initPaths();
  const root = path.resolve(packageDir);
  const pluginRequire = Module.createRequire(path.join(root, 'package.json'));

  const feature = pluginRequire(root).default;
  if (feature?.$$type !== '@backstage/BackendFeature') {
    throw new Error(`the default export of ${root} is no backend feature`);
  }
  const [registration] = feature.getRegistrations();
  const found = { type: feature.$$type, pluginId: registration.pluginId };
  if (request) {
    found.answer = await ask(registration.init.func, pluginRequire, request);
  }
  console.log(JSON.stringify(found));
}

/** Starts the plugin on a server of its own, without any configuration, and asks it once. */
async function ask(init, pluginRequire, request) {
  const app = pluginRequire('express')();
  await init({
    config: { getOptionalString: () => undefined },
    httpRouter: { use: handler => app.use(handler) },
    logger: { info() {} },
  });
  const server = http.createServer(app).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  try {
    const { port } = server.address();
    const response = await fetch(`http://127.0.0.1:${port}${request}`);
    return { status: response.status, body: await response.json() };
  } finally {
    server.close();
  }
}

main(process.argv.slice(2)).catch(error => {
  console.error(error);
  process.exitCode = 1;
});
