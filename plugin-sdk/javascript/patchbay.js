// Write a Patchbay plugin in JavaScript or TypeScript.
//
// A plugin is a module that exports its roles by name: `handler`, `desk`, `inspector`. What they are given and give back
// is the contract's own data (see patchbay.d.ts): names in camel case, variants as { tag, val }, enums as their words,
// attributes as pairs, milliseconds as BigInt. Here are the builders and helpers; nothing in this file talks to the
// host, so a plugin's tests run in Node.

export { Outcome } from './outcome.js';
export { Failure } from './failure.js';
export { request, check } from './http.js';
export { attribute, displayName, messageOf, priorities, textOf, ticketIn } from './event.js';
export { Verdict } from './verdict.js';
