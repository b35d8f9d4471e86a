// Puts a plugin's roles behind the contract's exports. The build writes the module that calls this.

import { Failure } from './failure.js';

/** Makes the exports of one role: each function of the contract calls the plugin's own, with settings and context. */
export function role(plugin, functions, host) {
  const made = {};
  for (const name of functions) {
    made[name] = (...given) => run(() => plugin[name](host.settings(), ...given, host.context));
  }
  return made;
}

/** The functions of each role, in the contract's order. */
export const roles = {
  handler: ['handle'],
  desk: ['findTicket', 'createTicket', 'findEntry', 'addEntry', 'updateTicket', 'readTicket', 'receive'],
  inspector: ['inspect'],
};

/** A plugin's role, if it has all functions; the build asks, so that nobody finds out at the first event. */
export function checked(plugin, role) {
  const missing = roles[role].filter((name) => typeof plugin[name] !== 'function');
  if (missing.length > 0) throw new TypeError(`\`${role}\` of the plugin has no function ${missing.join(', ')}`);
  return plugin;
}

// A promise costs turns of the event loop: only who gives one gets one.
function run(work) {
  try {
    const answer = work();
    return typeof answer?.then === 'function' ? answer.then(undefined, told) : answer;
  } catch (error) {
    return told(error);
  }
}

/** A failure becomes the contract's; anything else ends the call, with its stack in the operator's report. */
function told(error) {
  if (error instanceof Failure) throw error.payload;
  const thrown = error instanceof Error ? error : new Error(`${error} was thrown`);
  console.error(`${thrown.name}: ${thrown.message}\n${frames(thrown.stack)}`);
  // What has a payload would be taken for a failure of the contract.
  throw 'payload' in thrown ? new Error(thrown.message) : thrown;
}

/** The engine writes `name@file:1:2`, which reads like a mail address and would be masked as one. */
function frames(stack = '') {
  return stack.replaceAll(/^(.*)@(.*)$/gm, (_frame, name, place) => `    at ${name || '(top)'} (${place})`);
}
