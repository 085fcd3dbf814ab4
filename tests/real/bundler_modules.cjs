// Preloaded into rhdh-cli: appends `folder name version` of each package to $MODULES_FILE of which webpack or rspack say
// that they put a module into a chunk.
const fs = require('node:fs');
const path = require('node:path');
const Module = require('node:module');

const packageOf = file => {
  for (let folder = path.dirname(file); folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (!fs.existsSync(manifest)) continue;
    const { name, version } = JSON.parse(fs.readFileSync(manifest, 'utf8'));
    if (name && version) return `${name} ${version}`;
  }
  return undefined;
};

const report = stats => {
  const all = { all: false, ids: true, chunks: true, modules: true, nestedModules: true, orphanModules: true };
  const spread = { modulesSpace: 1e9, nestedModulesSpace: 1e9, dependentModules: true, cachedModules: true };
  const kinds = ['Type', 'CacheStatus', 'Attributes', 'Layer', 'Path', 'Extension'];
  const flat = Object.fromEntries(kinds.map(kind => [`groupModulesBy${kind}`, false]));
  const { modules } = stats.toJson({ ...all, ...spread, ...flat });
  const folder = path.basename(stats.compilation.outputOptions.path);
  const found = new Set();
  const visit = (module, inChunk) => {
    const isIn = inChunk || module.chunks?.length > 0;
    if (module.modules) {
      module.modules.forEach(inner => visit(inner, isIn));
    } else if (isIn && path.isAbsolute(module.nameForCondition ?? '')) {
      found.add(packageOf(module.nameForCondition));
    }
  };
  modules.forEach(module => visit(module, false));
  fs.appendFileSync(process.env.MODULES_FILE, [...found].map(one => `${folder} ${one}\n`).join(''));
};

const tapped = config => {
  if (Array.isArray(config)) return config.map(tapped);
  (config.plugins ??= []).push({ apply: compiler => compiler.hooks.done.tap('modules', report) });
  return config;
};

const wrapped = bundler =>
  new Proxy(bundler, {
    apply: (target, self, [config, ...rest]) => Reflect.apply(target, self, [tapped(config), ...rest]),
    get: (target, key) => (key === 'rspack' ? wrapped(target.rspack) : target[key]),
  });

const load = Module._load;
Module._load = function (request, ...rest) {
  const loaded = load.call(this, request, ...rest);
  return request === 'webpack' || request === '@rspack/core' ? wrapped(loaded) : loaded;
};
