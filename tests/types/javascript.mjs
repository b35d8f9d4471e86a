// Holds the types of the JavaScript SDK against the contract: node tests/types/javascript.mjs
//
// jco makes the types of wit/0.2 as a component has them. Every type of contract.d.ts has to be the same as jco's, none may
// be missing and none may be left over, and the roles of patchbay.d.ts have to take and give what the contract's functions
// do. Then the SDK's own declarations, the templates and the example are checked as an editor would.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const SDK = join(ROOT, 'plugin-sdk/javascript');
const CONTRACT = join(ROOT, 'wit/0.2');
/** The interfaces that contract.d.ts is made of, and a world that exports each. */
const INTERFACES = {
  types: 'desk-plugin',
  handler: 'handler-plugin',
  desk: 'desk-plugin',
  inspector: 'inspector-plugin',
};
/** The roles of patchbay.d.ts, and the interfaces that they answer for. */
const ROLES = { Handler: 'handler', Desk: 'desk', Inspector: 'inspector' };

/** Folders with a plugin's `src`, in both languages. */
const SOURCES = [
  ...['javascript', 'typescript'].flatMap((language) =>
    ['handler', 'desk', 'inspector'].map((role) => `plugin-sdk/templates/${language}/${role}`),
  ),
  'examples/order-status-js',
];

const ofJco = createRequire(createRequire(join(SDK, 'package.json')).resolve('@bytecodealliance/jco'));
const importFrom = (require, name) => import(pathToFileURL(require.resolve(name)));

/** The contract's types by jco, as files by their names. */
async function generate() {
  const require = createRequire(ofJco.resolve('@bytecodealliance/jco-transpile'));
  const { _addPreopen } = await importFrom(require, '@bytecodealliance/preview2-shim/filesystem');
  // jco reads the contract inside of a sandbox, which is given no folder by itself.
  _addPreopen('/', '/');
  const { generateGuestTypes } = await importFrom(ofJco, '@bytecodealliance/jco-transpile');
  const files = {};
  for (const worldName of new Set(Object.values(INTERFACES))) {
    const made = await generateGuestTypes(CONTRACT, { worldName, name: 'contract' });
    for (const [name, content] of Object.entries(made)) files[name.replace('interfaces/', '')] = content;
  }
  return files;
}

const text = (content) => (typeof content === 'string' ? content : new TextDecoder().decode(content));
/** The names of the types that a text exports; jco gives each case of a variant a name, the SDK gives none. */
const names = (content) => [...text(content).matchAll(/^ *export (?:type|interface) (\w+)/gm)].map(([, name]) => name);
const aliases = (content) => [...text(content).matchAll(/^ *export type (\w+) = import\(/gm)].map(([, name]) => name);

/** The module that does not compile when something differs. */
function comparison(files) {
  const lines = [
    ...Object.keys(files)
      .filter((name) => name.startsWith('patchbay-'))
      .map((name) => `/// <reference path="./${name}" />`),
    "import type * as sdk from './sdk/contract.d.ts';",
    "import type * as roles from './sdk/patchbay.d.ts';",
    ...Object.keys(INTERFACES).map((name) => `import type * as ${name} from 'patchbay:plugin/${name}@0.2.0';`),
    'type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : [A, "is not", B];',
    'type Flat<T> = T extends bigint | string | number | boolean | undefined | Uint8Array ? T : { [K in keyof T]: Flat<T[K]> };',
    // The SDK gives an open blob as media that is open.
    'type Given<T> = T extends { [Symbol.dispose](): void } ? roles.OpenMedia : T;',
    'type AllGiven<T> = { [K in keyof T]: Given<T[K]> };',
    'const yes = <_ extends true>(): void => {};',
  ];
  const ours = names(readFileSync(join(SDK, 'contract.d.ts'), 'utf8'));
  const theirs = new Map();
  for (const each of Object.keys(INTERFACES)) {
    const content = files[`patchbay-plugin-${each}.d.ts`];
    const foreign = aliases(content);
    for (const name of names(content)) if (!foreign.includes(name)) theirs.set(name, each);
  }
  const left = ours.filter((name) => !theirs.has(name));
  if (left.length > 0) throw new Error(`contract.d.ts has what is not in the contract: ${left.join(', ')}`);
  for (const [name, each] of theirs) {
    // A case of a variant begins with the variant's name, and has a tag.
    const isCase =
      [...theirs.keys()].some((variant) => variant !== name && name.startsWith(variant)) &&
      new RegExp(`interface ${name} \\{\\s*tag:`).test(text(files[`patchbay-plugin-${each}.d.ts`]));
    if (isCase && !ours.includes(name)) continue;
    if (!ours.includes(name)) throw new Error(`contract.d.ts lacks ${name}, of the contract's interface ${each}`);
    lines.push(`yes<Same<Flat<sdk.${name}>, Flat<${each}.${name}>>>(); // ${name}`);
  }
  for (const [role, each] of Object.entries(ROLES)) {
    const functions = [...text(files[`patchbay-plugin-${each}.d.ts`]).matchAll(/export function (\w+)\(/g)].map(
      ([, name]) => name,
    );
    lines.push(`yes<Same<keyof roles.${role}<{}>, ${functions.map((name) => `'${name}'`).join(' | ')}>>();`);
    for (const name of functions) {
      const [mine, its] = [`roles.${role}<{}>['${name}']`, `typeof ${each}.${name}`];
      lines.push(
        `yes<Same<Flat<Parameters<${mine}>>, Flat<[{}, ...AllGiven<Parameters<${its}>>, roles.Context]>>>(); // ${role}.${name}`,
      );
      lines.push(`yes<Same<Flat<Awaited<ReturnType<${mine}>>>, Flat<ReturnType<${its}>>>>(); // ${role}.${name}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Runs the compiler in a folder; what it finds is printed. */
function compile(folder, options) {
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options));
  execFileSync(join(SDK, 'node_modules/.bin/tsc'), ['--project', folder], { stdio: 'inherit' });
}

const folder = mkdtempSync(join(tmpdir(), 'patchbay-types-'));
try {
  const files = await generate();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), text(content));
  symlinkSync(SDK, join(folder, 'sdk'));
  // As the example finds it, from its own folder.
  mkdirSync(join(folder, 'plugin-sdk'));
  symlinkSync(SDK, join(folder, 'plugin-sdk/javascript'));
  writeFileSync(join(folder, 'compare.ts'), comparison(files));
  const common = {
    module: 'nodenext',
    target: 'es2022',
    lib: ['esnext', 'dom'],
    strict: true,
    noEmit: true,
    types: [],
  };
  compile(folder, {
    compilerOptions: { ...common, skipLibCheck: false, allowImportingTsExtensions: true },
    include: ['compare.ts'],
  });

  const options = JSON.parse(readFileSync(join(ROOT, 'plugin-sdk/templates/javascript/all/tsconfig.json'), 'utf8'));
  for (const source of SOURCES) {
    const project = join(folder, 'examples', source.replaceAll('/', '-'));
    mkdirSync(project, { recursive: true });
    cpSync(join(ROOT, source), project, { recursive: true });
    symlinkSync(SDK, join(project, 'sdk'));
    compile(project, options);
  }
} catch (error) {
  // The compiler has said what it found.
  if (error.status === undefined) console.error(error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
