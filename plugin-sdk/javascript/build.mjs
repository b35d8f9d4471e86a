#!/usr/bin/env node
// Builds the plugin of this folder: node sdk/build.mjs [FOLDER]
//
// Bundles src/index.js (or .ts) with what it imports, writes down the world that it needs (its roles, and only the
// imports that its plugin.toml wants, so that the operator is asked for no other), and makes the component.

import { access, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { componentize } from '@bytecodealliance/componentize-js';
import { rolldown } from 'rolldown';
import { parse } from 'smol-toml';

import { roles } from './roles.js';

const SDK = dirname(fileURLToPath(import.meta.url));
/** The version of the contract that this SDK is for. */
const CONTRACT = '0.2';
const SOURCES = ['src/index.ts', 'src/index.js', 'src/index.mjs'];
/** What the host gives: not for the bundle. */
const FROM_HOST = /^(patchbay|wasi):/;

/** An error that needs no stack: its message says what to do. */
class Wrong extends Error {}

const there = (path) =>
  access(path).then(
    () => true,
    () => false,
  );

async function first(paths) {
  for (const path of paths) if (await there(path)) return path;
  return undefined;
}

async function bundle(input) {
  const missing = [];
  const build = await rolldown({
    input,
    external: FROM_HOST,
    platform: 'neutral',
    // Of a package's variants, the one for hosts that have `fetch` and nothing else.
    resolve: { conditionNames: ['workerd', 'worker', 'import', 'module', 'default'], mainFields: ['module', 'main'] },
    treeshake: true,
    onLog(level, log, next) {
      if (log.code === 'UNRESOLVED_IMPORT') missing.push(log);
      else next(level, log);
    },
  });
  const { output } = await build.generate({ format: 'esm' });
  await build.close();
  if (missing.length > 0) throw new Wrong(missing.map(absent).join('\n'));
  return output[0];
}

/** What to do about an import that leads nowhere. */
function absent({ message }) {
  const [, name, importer] = /resolve '([^']*)' in (\S+)/.exec(message) ?? [];
  const where = `${importer} imports \`${name}\``;
  if (name === undefined) return message;
  if (isBuiltin(name)) {
    return `${where}, which is Node's own: a plugin has no files and no sockets; \`fetch\`, \`crypto\` and \`cx\` are there`;
  }
  if (/^[./]/.test(name)) return `${where}, and there is no such file`;
  const parts = name.split('/');
  const packageName = name.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
  return `${where}, which is not installed: type \`npm install ${packageName}\``;
}

/** The module that puts the plugin's roles behind the contract's exports. */
function entry(source, folder, found, parts) {
  const path = (to) => JSON.stringify(`./${relative(folder, to).replaceAll('\\', '/')}`);
  const name = (part) => `host_${part}`;
  const lines = [
    `import * as plugin from ${path(source)};`,
    `import { checked, role, roles } from ${path(join(SDK, 'roles.js'))};`,
    ...parts.map((part) => `import * as ${name(part)} from ${path(join(SDK, 'host', `${part}.js`))};`),
    `const context = Object.assign({}, ${parts.map((part) => `${name(part)}.context`).join(', ')});`,
    'const host = { settings: host_plain.settings, context };',
  ];
  for (const each of found) {
    const its = `checked(plugin.${each}, '${each}')`;
    const given = each === 'inspector' ? `inspectorOf(${its})` : its;
    lines.push(`export const ${each} = role(${given}, roles.${each}, host);`);
  }
  if (found.includes('inspector')) {
    lines.push(
      'function inspectorOf(its) {',
      '  return { inspect: (settings, info, blob, cx) => its.inspect(settings, info, host_media.reader(blob), cx) };',
      '}',
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The world: `plain`, what is wanted, and the roles. */
function world(found, parts, version) {
  const imports = { media: 'patchbay:plugin/blobs', uploads: 'patchbay:plugin/uploads' };
  const lines = [`  include patchbay:plugin/plain@${version};`];
  for (const part of parts) if (imports[part]) lines.push(`  import ${imports[part]}@${version};`);
  if (parts.includes('keyvalue')) lines.push('  import wasi:keyvalue/store@0.2.0-draft;');
  for (const each of found) lines.push(`  export patchbay:plugin/${each}@${version};`);
  return `package patchbay:build;\n\nworld component {\n${lines.join('\n')}\n}\n`;
}

/** Lays out the contract as a build reads it, with the world. */
async function layOut(folder, found, parts) {
  const contract = await first([join(SDK, 'wit'), join(SDK, '../../wit', CONTRACT)]);
  if (contract === undefined) throw new Wrong(`the contract is not beside ${SDK}: begin with \`patchbay plugin new\``);
  const text = await readFile(join(contract, 'patchbay.wit'), 'utf8');
  const version = /^package patchbay:plugin@([\d.]+);/m.exec(text)?.[1];
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'deps/patchbay-plugin'), { recursive: true });
  await writeFile(join(folder, 'deps/patchbay-plugin/patchbay.wit'), text);
  await cp(join(contract, 'deps'), join(folder, 'deps'), { recursive: true });
  await writeFile(join(folder, 'world.wit'), world(found, parts, version));
  return folder;
}

async function build(folder) {
  process.chdir(folder);
  const manifest = join(folder, 'plugin.toml');
  if (!(await there(manifest))) throw new Wrong(`there is no plugin.toml in ${folder}: name the plugin's folder`);
  const project = parse(await readFile(manifest, 'utf8'));
  const output = project.build?.output;
  if (typeof output !== 'string') throw new Wrong(`plugin.toml: write where the component goes, [build] output = "…"`);
  const source = await first(SOURCES.map((name) => join(folder, name)));
  if (source === undefined) throw new Wrong(`there is no plugin: write one of ${SOURCES.join(', ')}`);

  const { exports } = await bundle(source);
  const found = Object.keys(roles).filter((role) => exports.includes(role));
  if (found.length === 0) {
    throw new Wrong(
      `${relative(folder, source)} exports no role: write \`export const handler = { handle(settings, event, cx) { … } };\``,
    );
  }
  const wants = project.wants ?? {};
  const http = (wants.http ?? []).length > 0;
  const media = wants.media === true;
  if (found.includes('inspector') && !media)
    throw new Wrong('plugin.toml: an inspector reads media: write [wants] media = true');
  const parts = [
    'plain',
    media && 'media',
    media && http && 'uploads',
    wants.keyvalue !== undefined && 'keyvalue',
  ].filter(Boolean);

  const work = join(folder, 'target/patchbay');
  await mkdir(work, { recursive: true });
  await writeFile(join(work, 'entry.js'), entry(source, work, found, parts));
  const { code } = await bundle(join(work, 'entry.js'));
  const sourcePath = join(work, 'plugin.js');
  await writeFile(sourcePath, code);

  const { component } = await componentize({
    sourcePath,
    witPath: await layOut(join(work, 'wit'), found, parts),
    worldName: 'component',
    disableFeatures: http ? ['fetch-event'] : ['fetch-event', 'http'],
  });
  await mkdir(dirname(resolve(folder, output)), { recursive: true });
  await writeFile(resolve(folder, output), component);
}

try {
  await build(resolve(process.argv[2] ?? '.'));
} catch (error) {
  // What the tools find in a plugin is in their message; where in a tool it was found helps nobody.
  console.error(error instanceof Error ? error.message.replace(/\n\s+at [\s\S]*$/, '') : error);
  process.exitCode = 1;
}
