// Reads an unpacked frontend plugin: `folder name version` of each package that a source map names.
//
// bundle_packages.cjs PACKAGE INSTALLED TOOLS SOURCES: where the workspace's node_modules lie in, rhdh-cli's, and the
// workspace itself.
const fs = require('node:fs');
const path = require('node:path');

const [, , root, installed, tools, sources] = process.argv;
const found = new Set();
const files = fs.readdirSync(root, { recursive: true }).filter(file => file.endsWith('.map'));
for (const file of files) {
  const folder = file.split(path.sep)[0];
  for (const source of JSON.parse(fs.readFileSync(path.join(root, file), 'utf8')).sources) {
    const modules = source.indexOf('node_modules/');
    const sibling = /\.\.\/(greeting-[a-z]+)\//.exec(source);
    let manifest;
    if (modules >= 0) {
      const at = source.slice(modules);
      const [, inner, name] = /^(.*node_modules\/)((?:@[^/]+\/)?[^/]+)/.exec(at);
      manifest = path.join(source.includes('tools/rhdh-cli/') ? tools : installed, inner, name, 'package.json');
    } else if (sibling) {
      manifest = path.join(sources, 'plugins', sibling[1], 'package.json');
    } else {
      continue;
    }
    const { name, version } = JSON.parse(fs.readFileSync(manifest, 'utf8'));
    found.add(`${folder} ${name} ${version}`);
  }
}
console.log([...found].sort().join('\n'));
