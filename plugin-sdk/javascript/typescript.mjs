// Lets Node run TypeScript, for a plugin's own tests: node --import ./sdk/typescript.mjs --test tests/
//
// Types are taken away by the bundler that the build uses, and a file is found as the bundler finds it: `./words` and
// `./words.js` are `./words.ts` too. Nothing is checked here; `npm run types` does that.

import { existsSync, readFileSync } from 'node:fs';
import { register } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';

// Node loads this module twice: for the program, and for its hooks.
if (isMainThread) register(import.meta.url);

/** What may stand in the place of a file that is not there, in the bundler's order. */
const candidates = (path) => [path.replace(/\.([cm]?)js$/, '.$1ts'), `${path}.ts`, `${path}.js`];

/** Where a module is. */
export async function resolve(specifier, context, next) {
  if (/^\.{1,2}\//.test(specifier) && context.parentURL?.startsWith('file:')) {
    const path = fileURLToPath(new URL(specifier, context.parentURL));
    const found = existsSync(path) ? undefined : candidates(path).find((candidate) => existsSync(candidate));
    if (found !== undefined) return next(pathToFileURL(found).href, context);
  }
  return next(specifier, context);
}

/** What is in it. */
export async function load(url, context, next) {
  if (!/\.[cm]?ts$/.test(url)) return next(url, context);
  const { transformSync } = await import('rolldown/utils');
  const path = fileURLToPath(url);
  const { code, errors } = transformSync(path, readFileSync(path, 'utf8'));
  if (errors.length > 0) throw new SyntaxError(errors.map((error) => error.codeframe ?? error.message).join('\n'));
  return { format: 'module', source: code, shortCircuit: true };
}
